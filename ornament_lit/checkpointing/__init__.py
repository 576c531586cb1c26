"""Checkpoints: what is in them, which is the latest, how a run resumes, and how files are written whole."""
