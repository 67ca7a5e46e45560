"""From a network that has learned much to a classifier of few images."""
