"""Comparing decompositions: by what they reconstruct, by their components and side by side."""

from sklearn_ae._scoring import component_quality, reconstruction_score

__all__ = ["component_quality", "reconstruction_score"]
