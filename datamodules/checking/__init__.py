"""Shards under the magnifying glass: can all of them be trained on, and what is in them."""
