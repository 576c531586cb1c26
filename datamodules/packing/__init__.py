"""Photographs and masks of one's own to shards: read a manifest or folders, check, crop, write."""
