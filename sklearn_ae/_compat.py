"""The one door to scikit-learn's private or version-dependent names."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER

__all__ = ["ADAPTERS_MANAGER", "OUTPUT_CONFIG", "HasMethods", "Interval", "StrOptions", "fit_context"]

#: Where ``set_output`` keeps what it was told, and ``clone`` looks for it.
OUTPUT_CONFIG = "_sklearn_output_config"
