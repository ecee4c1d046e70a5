"""Comparison with the alternatives that a user has; needs a separate environment, `make bench-peers`."""
