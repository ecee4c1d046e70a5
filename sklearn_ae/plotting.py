"""Displays: the data of a picture in an object that draws it, as in scikit-learn.

matplotlib is imported when something is drawn, not before.
"""

from sklearn_ae._curve_displays import (
    CodeScatterDisplay,
    ComparisonDisplay,
    LossCurveDisplay,
    ScreeDisplay,
    SizeCurveDisplay,
)
from sklearn_ae._image_displays import ComponentsDisplay, ReconstructionDisplay, TraversalDisplay

__all__ = [
    "CodeScatterDisplay",
    "ComparisonDisplay",
    "ComponentsDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "ScreeDisplay",
    "SizeCurveDisplay",
    "TraversalDisplay",
]
