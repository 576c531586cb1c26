"""Bytes from disks and networks: paths, downloads, retries, damaged samples, worker processes."""
