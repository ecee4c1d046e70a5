"""Displays, as in scikit-learn: each holds the data of a plot and draws it.

matplotlib is imported when something is drawn, not before; drawing without it raises an ImportError.
"""

from sklearn_ae.plotting._code_scatter import CodeScatterDisplay
from sklearn_ae.plotting._comparison import ComparisonDisplay
from sklearn_ae.plotting._components import ComponentsDisplay
from sklearn_ae.plotting._loss_curve import LossCurveDisplay
from sklearn_ae.plotting._reconstruction import ReconstructionDisplay
from sklearn_ae.plotting._scree import ScreeDisplay
from sklearn_ae.plotting._size_curve import SizeCurveDisplay
from sklearn_ae.plotting._traversal import TraversalDisplay

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
