"""Commands that need a training configuration and are not steps of a trainer."""
