"""The version, in a file that modules imported by ``__init__`` can import too."""

__version__ = "0.1.0"
