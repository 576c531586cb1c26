"""``data check`` and ``data stats``: whether shards can be trained on, and what is in them."""
