"""Compare decompositions by their reconstructions and components, and choose a number of components."""

from sklearn_ae._metrics.components import component_quality
from sklearn_ae._metrics.reconstruction import reconstruction_error, reconstruction_score
from sklearn_ae.model_selection._comparison import compare_decompositions
from sklearn_ae.model_selection._size_rule import one_standard_error
from sklearn_ae.model_selection._table import DecompositionComparison

__all__ = [
    "DecompositionComparison",
    "compare_decompositions",
    "component_quality",
    "one_standard_error",
    "reconstruction_error",
    "reconstruction_score",
]
