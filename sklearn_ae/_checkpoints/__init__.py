"""Checkpoint files: format, identity checks, atomic writes."""
