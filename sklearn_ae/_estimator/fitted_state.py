"""The state of a fitted estimator, from which its fitted attributes follow."""

from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_ae._data.columns import ColumnRange
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._estimator.validation import FEATURE_ATTRIBUTES
from sklearn_ae._model.canonical import explained_variance
from sklearn_ae._model.fitted_model import FittedModel
from sklearn_ae._model.module import Architecture, Autoencoder
from sklearn_ae._model.statistics import CodeMoments

__all__ = ["FittedState"]


class FittedState(NamedTuple):
    """All of a fitted estimator except its parameters and the history of its training."""

    features: dict[str, Any]  # the attributes that describe the features
    dtype: np.dtype  # of the training data
    architecture: Architecture
    scaling: Scaling
    column_range: ColumnRange
    moments: CodeMoments
    module: Autoencoder
    module64: Autoencoder  # the same in float64

    @classmethod
    def of(cls, estimator: Any, module64: Autoencoder | None = None) -> Self:
        """Return the state of a fitted estimator, whose fitted model may have to be rebuilt from a module."""
        return cls(
            {name: vars(estimator)[name] for name in FEATURE_ATTRIBUTES if name in vars(estimator)},
            estimator.mean_.dtype,
            estimator._architecture,
            estimator._scaling,
            estimator._column_range,
            estimator._moments,
            estimator.module_,
            estimator._fitted_model.module64 if module64 is None else module64,
        )

    def truncated_(self, n_components: int) -> Self:
        """Reduce an ordered code to its first components; modules and moments change in place."""
        for part in (self.module, self.module64, self.moments):
            part.keep_(n_components)
        return self._replace(architecture=self.architecture._replace(n_kept=n_components))

    def fitted_model(self) -> FittedModel:
        """Return the model that transforms and scores data."""
        output_range = self.column_range if self.module.output.bounded else None
        names = self.features.get("feature_names_in_")
        objective = f"loss={self.architecture.loss!r} with output_activation={self.architecture.output_activation!r}"
        return FittedModel(self.module, self.module64, self.scaling, output_range, names, objective)

    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes."""
        explained = explained_variance(self.module64, self.moments, self.scaling)
        return {
            **self.features,
            "mean_": self._in_dtype(self.scaling.mean),
            "components_": self._in_dtype(explained.components),
            "explained_variance_": self._in_dtype(explained.variance),
            "explained_variance_ratio_": self._in_dtype(explained.ratio),
            "n_components_": self.module.n_components,
            "module_": self.module,
            "_architecture": self.architecture,
            "_scaling": self.scaling,
            "_column_range": self.column_range,
            "_moments": self.moments,
            "_fitted_model": self.fitted_model(),
        }

    def _in_dtype(self, values: np.ndarray) -> np.ndarray:
        """Return values in float32 if the training data is, unless they are out of its range."""
        greatest, limits = np.abs(values).max(initial=0.0), np.finfo(np.float32)
        fits = greatest == 0 or limits.tiny <= greatest <= limits.max
        return values.astype(np.float32) if self.dtype == np.float32 and fits else values
