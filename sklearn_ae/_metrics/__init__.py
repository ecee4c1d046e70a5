"""Scores of any decomposition and of its components; no torch."""
