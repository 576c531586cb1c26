"""Shards as files: schema of their index, reading, writing, cache, contact sheets, computed latents."""
