"""The methods of a fitted autoencoder: codes, reconstructions, scores, smaller codes, samples."""

import warnings
from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any, Self, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from sklearn_ae._data.columns import ColumnRange
from sklearn_ae._data.numeric import numeric, two_dimensional
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.tables import DenseTable, Table, TensorTable
from sklearn_ae._estimator.dask import on_dask_collections
from sklearn_ae._estimator.fitted_state import FittedState
from sklearn_ae._estimator.persistence import pack, restore, unpack
from sklearn_ae._estimator.size_selection import is_selected_by_fit
from sklearn_ae._estimator.validation import validated_table
from sklearn_ae._model.fitted_model import FittedModel
from sklearn_ae._model.module import Architecture, Autoencoder
from sklearn_ae._model.statistics import CodeMoments, r_squared
from sklearn_ae._utils.compat import ADAPTERS_MANAGER, OUTPUT_CONFIG, available_if
from sklearn_ae._utils.threads import one_thread_after_fork
from sklearn_ae.codes import code_of
from sklearn_ae.losses import LOSSES

__all__ = ["FittedAutoencoder"]

Method = TypeVar("Method", bound=Callable[..., Any])


def _depends_on(
    name: str, remedy: str, of_params: Callable[[Any], bool], of_fit: Callable[[Any], bool]
) -> Callable[[Method], Method]:
    """Make a method available depending on a parameter before a fit, and on the fitted model afterwards."""

    def check(estimator: "FittedAutoencoder") -> bool:
        is_fitted = hasattr(estimator, "_architecture")
        available = of_fit(estimator) if is_fitted else of_params(estimator)
        if not available and is_fitted and of_params(estimator):
            raise AttributeError(f"{name} changed after the fit, but this method uses the value of the fit: fit again.")
        if not available:
            raise AttributeError(remedy)
        return True

    return available_if(check)


def _code_has(method: str) -> Callable[[Method], Method]:
    """Make a method available if the code has one."""
    return _depends_on(
        "code",
        "fit with code='gaussian'",
        lambda estimator: hasattr(code_of(estimator.code), method),
        lambda estimator: hasattr(estimator._architecture.code, method),
    )


def _to_device(device: torch.device | None, values: np.ndarray) -> Any:
    """Return results as a tensor on a device, or as an array if it is None."""
    return values if device is None else torch.from_numpy(values).to(device)


_masks_missing = _depends_on(
    "missing",
    "fit with missing='mask'",
    lambda estimator: estimator.missing == "mask",
    lambda estimator: estimator._scaling.fills_missing,
)
_is_ordered = _depends_on(
    "ordered or n_components",
    "the code is not ordered; fit with ordered=True, or n_components='auto' or a float",
    lambda estimator: estimator.ordered or is_selected_by_fit(estimator.n_components),
    lambda estimator: estimator._architecture.ordered,
)


@on_dask_collections
class FittedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The part of :class:`~sklearn_ae.AutoencoderTransformer` that needs no training."""

    n_components: Any
    ordered: Any
    code: Any
    loss: Any
    missing: str
    mean_: np.ndarray
    components_: np.ndarray
    explained_variance_: np.ndarray
    explained_variance_ratio_: np.ndarray
    n_components_: int
    n_features_in_: int
    module_: Autoencoder
    _architecture: Architecture
    _scaling: Scaling
    _column_range: ColumnRange
    _moments: CodeMoments
    _fitted_model: FittedModel

    @one_thread_after_fork()
    def transform(self, X: Any) -> Any:
        """Return the codes of X.

        Parameters
        ----------
        X : array-like, sparse matrix, tensor or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In float32 for X in float32, otherwise computed and returned in float64. A tensor on the device of X if X is
            a tensor.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not finite, does not have the features seen in ``fit``, or exceeds the range that the loss of the
            fit models, such as negative data with ``loss="poisson"``. Scores raise it too.
        """
        table = self._check_X(X)
        return self._fitted_model.encode(table)

    def set_output(self, *, transform: str | None = None, inverse_transform: str | None = None) -> Self:
        """Choose the containers that ``transform`` and ``inverse_transform`` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            What ``transform`` and ``fit_transform`` return, as for every transformer of scikit-learn; ``"default"`` is
            an ndarray. None leaves the choice unchanged.
        inverse_transform : {"default", "pandas", "polars"}, default=None
            What ``inverse_transform`` returns, likewise. Columns of a data frame have the names in
            ``feature_names_in_``, if any, otherwise x0, x1, ...; rows keep the index of a pandas frame of codes.

        Returns
        -------
        self : AutoencoderTransformer
            The estimator.

        Raises
        ------
        ValueError
            If a container is not one of these.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import AutoencoderTransformer
        >>> X = load_iris(as_frame=True).data
        >>> model = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
        >>> model = model.set_output(inverse_transform="pandas")
        >>> list(model.inverse_transform(model.transform(X)).columns[:2])
        ['sepal length (cm)', 'sepal width (cm)']
        """
        given = {"transform": transform, "inverse_transform": inverse_transform}
        for name, container in given.items():
            if container is not None and container not in ADAPTERS_MANAGER.supported_outputs:
                allowed = sorted(ADAPTERS_MANAGER.supported_outputs)
                raise ValueError(f"set_output({name}={container!r}): {name} must be one of {allowed}, or None.")
        chosen = {name: container for name, container in given.items() if container is not None}
        setattr(self, OUTPUT_CONFIG, getattr(self, OUTPUT_CONFIG, {}) | chosen)
        return self

    @one_thread_after_fork()
    def inverse_transform(self, X: Any) -> Any:
        """Return the reconstruction that the decoder makes of codes, the output activation included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as :meth:`transform` returns them.

        Returns
        -------
        X_original : ndarray or data frame of shape (n_samples, n_features)
            In float32 for codes in float32, otherwise in float64; in the container that :meth:`set_output` chose,
            by default a tensor on the device of X if X is a tensor.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not finite or does not have `n_components` columns.
        """
        check_is_fitted(self)
        codes: Table
        if isinstance(X, Tensor):
            codes = TensorTable(X)
            if not torch.isfinite(codes.X).all():
                raise ValueError(
                    "X contains NaN or infinity; codes are finite numbers: expected the output of transform."
                )
        else:
            with np.errstate(invalid="ignore"):  # from infinities, which raise an error
                codes = DenseTable(check_array(numeric(X), dtype=[np.float64, np.float32], input_name="X"))
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the codes of this AutoencoderTransformer have "
                f"{self.n_components_}: expected the output of transform."
            )
        return self._wrap_output(self._fitted_model.decode(codes), X)

    @one_thread_after_fork()
    def score(self, X: Any, y: Any = None) -> float:
        """Return R², the fraction of the variance of X that its reconstruction explains.

        R² is ``1 - sum((x - x_hat)²) / sum((x - mean_)²)`` over all entries: higher is better, 1 is perfect. Scores of
        different sizes are comparable, so ``GridSearchCV`` needs no ``scoring``. On the training data of a linear
        autoencoder it is the sum of ``explained_variance_ratio_``, as for PCA. The baseline is the training mean; that
        of :func:`~sklearn_ae.model_selection.reconstruction_score` is the mean of the scored X.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        r2 : float
            At most 1. If all samples of X equal ``mean_``: 1 if they are reconstructed exactly, otherwise 0.

        Warns
        -----
        UserWarning
            If it is negative for a code that is denser than in training, ``WinnerTakeAll``.
        """
        r2 = r_squared(*self._error_and_variance(X))
        if r2 < 0 and self._architecture.code.denser_than_trained:
            warnings.warn(
                f"R² is {r2:.3g}, worse than the mean: with code={self._architecture.code!r} transform keeps all "
                "positive values, more than training does, and their sum overshoots. Score the codes by a downstream "
                "model, raise the rate, or use TopK to reconstruct.",
                UserWarning,
                stacklevel=3,
            )
        return r2

    def score_samples(self, X: Any) -> Any:
        """Return the negative squared reconstruction error per sample; the lowest are outliers.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            At most 0, in squared units of the data, summed over features. A tensor if X is one.
        """
        return -self.reconstruction_error(X)

    @one_thread_after_fork()
    def reconstruction_error(self, X: Any, *, per_feature: bool = False) -> Any:
        """Return the squared reconstruction error per sample or per entry.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        per_feature : bool, default=False
            Whether to return the error of each entry instead of the sum over features.

        Returns
        -------
        errors : ndarray of shape (n_samples,) or (n_samples, n_features), float64
            At least 0, in squared units of the data. Missing entries add nothing to a sum; their own errors are NaN. A
            tensor on the device of X if X is a tensor.
        """
        table = self._check_X(X)
        errors = np.empty(table.shape if per_feature else len(table))
        for rows, residual in self._fitted_model.residuals(table):
            squared = np.square(residual * self._scaling.scale)
            errors[rows] = squared if per_feature else np.nansum(squared, axis=1)
        return _to_device(table.device, errors)

    @_masks_missing
    @one_thread_after_fork()
    def impute(self, X: Any) -> Any:
        """Return X with missing entries filled by their reconstruction. For ``missing="mask"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers, and NaN for missing entries.

        Returns
        -------
        X_filled : ndarray or data frame of shape (n_samples, n_features)
            A copy of X with the same observed entries. In float32 for X in float32, otherwise in float64; in the
            container that :meth:`set_output` chose for ``inverse_transform``.
        """
        check_is_fitted(self)
        device, given = (X.device, TensorTable(two_dimensional(X)).X.cpu()) if isinstance(X, Tensor) else (None, X)
        given = validate_data(
            self, two_dimensional(numeric(given)), dtype="numeric", ensure_all_finite=False, reset=False
        )
        return self._wrap_output(_to_device(device, self._fitted_model.impute(given)), X)

    @_is_ordered
    @one_thread_after_fork()
    def reconstruction_curve(self, X: Any) -> np.ndarray:
        """Return the R² of X for each number of components of an ordered code. For ``ordered=True``.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.

        Returns
        -------
        scores : ndarray of shape (n_components,), float64
            ``scores[k - 1]`` is ``truncate(k).score(X)``, from one pass over X.
        """
        table = self._check_X(X)
        errors, variance = self._fitted_model.errors(table, of_prefixes=True)
        return np.array([r_squared(error, variance) for error in errors])

    @_is_ordered
    @one_thread_after_fork()
    def truncate(self, n_components: int) -> Self:
        """Return a fitted estimator with the first components of an ordered code, not refitted. For ``ordered=True``.

        Its ``transform`` returns the first columns of this estimator's. The two share no mutable state.

        Parameters
        ----------
        n_components : int
            Number of components to keep, from 1 to ``n_components_``.

        Returns
        -------
        smaller : AutoencoderTransformer
            A copy with this `n_components`.

        Raises
        ------
        ValueError
            If `n_components` is out of range.
        """
        check_is_fitted(self)
        if not isinstance(n_components, (int, np.integer)) or not 1 <= n_components <= self.n_components_:
            raise ValueError(
                f"n_components={n_components!r} must be an integer from 1 to {self.n_components_}, the number of "
                "components."
            )
        smaller = deepcopy(copy(self).set_params(callbacks=None))  # callbacks may hold open files or locks
        smaller.set_params(n_components=int(n_components), ordered=True, callbacks=self.callbacks)
        smaller._set_fitted_attributes(FittedState.of(smaller).truncated_(smaller.n_components).attributes())
        return smaller

    @_code_has("draw")
    @one_thread_after_fork()
    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Return new samples: the decoded means of codes drawn from the prior. For ``code="gaussian"``.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples, at least 1.
        random_state : int, RandomState instance or None, default=None
            Source of the random codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Without the noise that the loss implies: for ``loss="log_loss"`` probabilities.
        """
        check_is_fitted(self)
        code = self._architecture.code
        codes = code.draw(n_samples, self.n_components_, check_random_state(random_state))
        return self._fitted_model.decode(DenseTable(codes))

    @_code_has("divergence")
    @one_thread_after_fork()
    def elbo(self, X: Any, random_state: Any = None) -> float:
        """Return the variational lower bound on the mean log-likelihood per sample of X. For ``code="gaussian"``.

        It is an estimate from one draw of the code per sample; the divergence has its full weight, whatever that was
        in training.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        random_state : int, RandomState instance or None, default=None
            Source of the random codes.

        Returns
        -------
        bound : float
            In nats per sample, higher is better; of a density in the data's units, or of probabilities for the losses
            of discrete data.
        """
        table = self._check_X(X)
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return self._fitted_model.elbo(table, self._architecture.loss, seed)

    def _wrap_output(self, values: Any, like: Any) -> Any:
        """Return samples in the chosen container, with the index of the data that they were computed from."""
        adapter = ADAPTERS_MANAGER.adapters.get(getattr(self, OUTPUT_CONFIG, {}).get("inverse_transform"))
        if adapter is None:
            return values
        names = [f"x{i}" for i in range(self.n_features_in_)] if self._names is None else self._names
        # naming columns on creation would replace empty names in polars
        return adapter.rename_columns(adapter.create_container(values, like, columns=None), list(names))

    def _error_and_variance(self, X: Any) -> tuple[float, float]:
        """Return the squared error of X and its variance about the training mean, summed, in units of the scale."""
        table = self._check_X(X)
        (error,), variance = self._fitted_model.errors(table)
        return float(error), variance

    def _check_X(self, X: Any) -> Table:
        check_is_fitted(self)
        return validated_table(self, X)

    @property
    def _names(self) -> np.ndarray | None:
        return getattr(self, "feature_names_in_", None)

    def _set_fitted_attributes(self, attributes: dict[str, Any]) -> None:
        """Replace the fitted attributes, feature names of an earlier fit included."""
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(attributes)

    def __copy__(self) -> Self:
        shared = type(self).__new__(type(self))
        shared.__dict__.update(self.__dict__)
        return shared

    def __getstate__(self) -> dict[str, Any]:
        return pack(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unpack(state))
        if "_weights" in vars(self):
            with one_thread_after_fork():
                restore(self)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mask"
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        tags.input_tags.positive_only = bool(getattr(loss, "positive_only", False))  # `fit` checks the loss
        return tags
