"""The only place that imports scikit-learn's private or version-dependent names."""

from collections.abc import Callable
from typing import Any, TypeVar

import sklearn
from sklearn.base import _fit_context
from sklearn.utils._available_if import _AvailableIfDescriptor
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError
from sklearn.utils._param_validation import StrOptions as UnsortedStrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER

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
                f"set_callbacks needs scikit-learn 1.9 or newer, and this is {sklearn.__version__}: update it, or pass "
                "callbacks of skorch as AutoencoderTransformer(callbacks=[...])."
            )


__all__ = [
    "ADAPTERS_MANAGER",
    "OUTPUT_CONFIG",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "available_if",
    "fit_context",
]

#: The attribute in which ``set_output`` stores its setting, and from which ``clone`` copies it.
OUTPUT_CONFIG = "_sklearn_output_config"


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
