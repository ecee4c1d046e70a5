"""The only place that imports scikit-learn's private or version-dependent names."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import sklearn
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._available_if import _AvailableIfDescriptor
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError, RealNotInt
from sklearn.utils._param_validation import StrOptions as UnsortedStrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER
from sklearn.utils.validation import _check_feature_names_in, _num_samples

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """A substitute for scikit-learn's mixin of the same name, which older versions lack."""

        def set_callbacks(self, *callbacks: object) -> None:
            """Raise an error, as callbacks need scikit-learn 1.9.

            Parameters
            ----------
            *callbacks : object
                Callbacks of scikit-learn 1.9.

            Raises
            ------
            NotImplementedError
                Always.
            """
            raise NotImplementedError(
                f"set_callbacks needs scikit-learn 1.9 or later, got {sklearn.__version__}: update it, or pass "
                "skorch callbacks as AutoencoderTransformer(callbacks=[...])."
            )


__all__ = [
    "ADAPTERS_MANAGER",
    "OUTPUT_CONFIG",
    "CallbackSupportMixin",
    "FloatInterval",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "available_if",
    "feature_names_in",
    "fit_context",
    "n_rows",
    "rows_of",
]

#: The attribute in which ``set_output`` stores its setting, and from which ``clone`` copies it.
OUTPUT_CONFIG = "_sklearn_output_config"

#: Return the given rows of an array, a sparse matrix, a frame or a list.
rows_of = _safe_indexing

#: Return the number of rows of the same.
n_rows = _num_samples

#: Return the names of the features of a fitted estimator, checked against given ones.
feature_names_in = _check_feature_names_in


class FloatInterval(Interval):
    """An interval of floats, those of NumPy included, which holds no integers."""

    def __init__(self, left: float, right: float, *, closed: str):
        super().__init__(RealNotInt, left, right, closed=closed)

    def is_satisfied_by(self, val: object) -> bool:
        """Return whether a value is in the interval.

        Parameters
        ----------
        val : object
            The value.

        Returns
        -------
        is_inside : bool
            Whether it is.
        """
        return bool(super().is_satisfied_by(float(val) if isinstance(val, np.floating) else val))


class StrOptions(UnsortedStrOptions):
    """A choice of strings, which messages list in order."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator of fit methods, with the type annotations that it lacks."""
    decorate: Callable[[Method], Method] = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)
    return decorate


class ConditionalMethod(_AvailableIfDescriptor):
    """A method that some instances lack; the reason that its check raises is part of the message."""

    def _check(self, obj: Any, owner: Any) -> None:
        try:
            super()._check(obj, owner)
        except AttributeError as error:
            if error.__cause__ is None:
                raise
            raise AttributeError(f"{error}: {error.__cause__}") from error.__cause__


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Make a method conditional, as scikit-learn's decorator of this name."""

    def decorate(method: Method) -> Method:
        conditional: Any = ConditionalMethod(method, check, attribute_name=method.__name__)
        return conditional

    return decorate
