"""The version, which files that ``__init__`` imports write down too."""

__version__ = "0.1.0"
