"""Metrics, one a file; import each from its own, since some of them load large libraries."""
