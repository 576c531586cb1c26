"""The page on which a person draws the box: a server on this machine alone, and what it shows."""
