"""Measurements behind the figures in README, the docs and the changelog."""
