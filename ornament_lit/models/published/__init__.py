"""Names of published weights: how they are called here."""
