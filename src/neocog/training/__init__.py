"""Training: the one loop, and what it needs, one job a file."""
