"""What a fitted autoencoder does with data: codes, reconstructions, scores, smaller codes, samples."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from sklearn_ae._data.out_of_core import in_memory_where_small, out_of_core_table
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.tables import DenseTable, SparseTable, Table, TensorTable
from sklearn_ae._estimator.dask import on_dask_collections
from sklearn_ae._estimator.size_selection import is_selected_by_fit
from sklearn_ae._model.canonical import explained_variance
from sklearn_ae._model.fitted_model import FittedModel
from sklearn_ae._model.module import Architecture, Autoencoder
from sklearn_ae._model.statistics import CodeMoments, r_squared
from sklearn_ae._utils.compat import ADAPTERS_MANAGER, OUTPUT_CONFIG, available_if
from sklearn_ae._utils.threads import one_thread_after_fork
from sklearn_ae.base import member
from sklearn_ae.codes import CODES
from sklearn_ae.losses import LOSSES

__all__ = ["FittedAutoencoder"]


def _code_has(method: str) -> Callable[[Any], bool]:
    """Return a check for :func:`~sklearn.utils.metaestimators.available_if`: whether the code has a method."""

    def check(estimator: "FittedAutoencoder") -> bool:
        return hasattr(member(estimator.code, CODES), method)

    return check


def _on(device: torch.device | None, values: np.ndarray) -> Any:
    """Return results as a tensor on the device of what they are for, or as they are where that was no tensor."""
    return values if device is None else torch.from_numpy(values).to(device)


def _masks_missing(estimator: "FittedAutoencoder") -> bool:
    return estimator.missing == "mask"


def _is_ordered(estimator: "FittedAutoencoder") -> bool:
    return estimator.ordered or is_selected_by_fit(estimator.n_components)


@on_dask_collections
class FittedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The part of :class:`~sklearn_ae.AutoencoderTransformer` that needs no training."""

    n_components: Any
    ordered: Any
    code: Any
    loss: Any
    missing: str
    mean_: np.ndarray
    module_: Autoencoder
    n_features_in_: int
    _architecture: Architecture
    _scaling: Scaling
    _fitted_model: FittedModel
    _moments: CodeMoments
    _bounds: tuple[np.ndarray, np.ndarray]
    _observed: np.ndarray

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
            In float32 for X in float32, otherwise computed and returned in float64. A tensor on the device of X where X
            is a tensor.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not finite or has other features than those seen in ``fit``.
        """
        return self._fitted_model.encode(self._check_X(X))

    def set_output(self, *, transform: str | None = None, inverse_transform: str | None = None) -> Self:
        """Choose the containers that ``transform`` and ``inverse_transform`` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            What ``transform`` and ``fit_transform`` return, as for every transformer of scikit-learn; ``"default"`` is
            an ndarray. None leaves it as it is.
        inverse_transform : {"default", "pandas", "polars"}, default=None
            What ``inverse_transform`` returns, likewise. Columns of a data frame have the names in
            ``feature_names_in_``, where there are none x0, x1, ...; rows keep the index of a pandas frame of codes.

        Returns
        -------
        self : AutoencoderTransformer
            The estimator.

        Raises
        ------
        ValueError
            If a container is none of these.

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
        """Return the data that the decoder makes of codes, the output activation included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as :meth:`transform` gives them.

        Returns
        -------
        X_original : ndarray or data frame of shape (n_samples, n_features)
            In float32 for codes in float32, otherwise in float64; in the container that :meth:`set_output` chose,
            without a choice a tensor on the device of X where X is a tensor.

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
                raise ValueError("X contains NaN or infinity; codes are finite numbers: pass what transform returned.")
        else:
            with np.errstate(invalid="ignore"):  # of infinities, which are refused
                codes = DenseTable(check_array(X, dtype=[np.float64, np.float32], input_name="X"))
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the codes of this AutoencoderTransformer have "
                f"{self.n_components_}: pass what transform returned."
            )
        return self._contained(self._fitted_model.decode(codes), X)

    @one_thread_after_fork()
    def score(self, X: Any, y: Any = None) -> float:
        """Return R², the share of the variance of X that its reconstruction explains.

        R² is ``1 - sum((x - x_hat)²) / sum((x - mean_)²)`` over all entries: higher is better, 1 is perfect, and sizes
        compare, so that ``GridSearchCV`` needs no ``scoring``. On the rows of ``fit`` of a linear autoencoder it is the
        sum of ``explained_variance_ratio_``, as for PCA. The baseline is the mean of the training data;
        ``reconstruction_score`` in :mod:`sklearn_ae.model_selection` uses the mean of X.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        r2 : float
            At most 1. For X equal to ``mean_`` in every row: 1 if it is reconstructed exactly, otherwise 0.
        """
        return r_squared(*self._error_and_variance(X))

    def score_samples(self, X: Any) -> Any:
        """Return the negative squared reconstruction error of each row; the lowest are outliers.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            At most 0, in squared units of the data, summed over features. A tensor where X is one.
        """
        return -self.reconstruction_error(X)

    @one_thread_after_fork()
    def reconstruction_error(self, X: Any, *, per_feature: bool = False) -> Any:
        """Return the squared reconstruction error of each row or of each entry.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        per_feature : bool, default=False
            Whether to return the error of each entry instead of its sum over each row.

        Returns
        -------
        errors : ndarray of shape (n_samples,) or (n_samples, n_features), float64
            At least 0, in squared units of the data. Missing entries add nothing to a row; their own are NaN. A tensor
            on the device of X where X is a tensor.
        """
        table = self._check_X(X)
        errors = np.empty(table.shape if per_feature else len(table))
        for rows, residual in self._fitted_model.residuals(table):
            squared = np.square(residual * self._scaling.scale)
            errors[rows] = squared if per_feature else np.nansum(squared, axis=1)
        return _on(table.device, errors)

    @available_if(_masks_missing)
    @one_thread_after_fork()
    def impute(self, X: Any) -> Any:
        """Return X with missing entries filled by their reconstruction. For ``missing="mask"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers, and NaN where an entry is missing.

        Returns
        -------
        X_filled : ndarray or data frame of shape (n_samples, n_features)
            A copy of X; observed entries are as they were. In float32 for X in float32, otherwise in float64; in the
            container that :meth:`set_output` chose for ``inverse_transform``.
        """
        check_is_fitted(self)
        device, given = (X.device, X.detach().cpu()) if isinstance(X, Tensor) else (None, X)
        given = validate_data(self, given, dtype="numeric", ensure_all_finite=False, reset=False)
        return self._contained(_on(device, self._fitted_model.impute(given)), X)

    @available_if(_is_ordered)
    @one_thread_after_fork()
    def reconstruction_curve(self, X: Any) -> np.ndarray:
        """Return the R² of X for each number of units of an ordered code. For ``ordered=True``.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.

        Returns
        -------
        scores : ndarray of shape (n_components,), float64
            ``scores[k - 1]`` is ``truncate(k).score(X)``, from one pass over X.
        """
        errors, variance = self._fitted_model.errors(self._check_X(X), self.mean_, of_prefixes=True)
        return np.array([r_squared(error, variance) for error in errors])

    @available_if(_is_ordered)
    @one_thread_after_fork()
    def truncate(self, n_components: int) -> Self:
        """Return a fitted estimator with the first units of an ordered code, without refitting. For ``ordered=True``.

        Its ``transform`` gives the first columns of that of this one. It shares nothing with this one that can change.

        Parameters
        ----------
        n_components : int
            Number of units to keep, from 1 to ``n_components_``.

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
        if is_selected_by_fit(n_components) or not 1 <= n_components <= self.n_components_:
            raise ValueError(
                f"n_components={n_components!r} must be an integer from 1 to {self.n_components_}, the number of units "
                "that there are."
            )
        smaller = deepcopy(self).set_params(n_components=int(n_components), ordered=True)
        smaller._keep(smaller.n_components)
        return smaller

    @available_if(_code_has("draw"))
    @one_thread_after_fork()
    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Return new rows: the decoded means of codes drawn from the prior. For ``code="gaussian"``.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        random_state : int, RandomState instance or None, default=None
            What the codes are drawn from.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Without the noise that the loss stands for: for ``loss="log_loss"`` probabilities.
        """
        check_is_fitted(self)
        code = self._architecture.code
        codes = code.draw(n_samples, self.n_components_, check_random_state(random_state))
        return self._fitted_model.decode(DenseTable(codes))

    @available_if(_code_has("divergence"))
    @one_thread_after_fork()
    def elbo(self, X: Any, random_state: Any = None) -> float:
        """Return the variational lower bound on the mean log-likelihood of the rows of X. For ``code="gaussian"``.

        It is an estimate with one draw of the code a row; its divergence counts in full, whatever its weight in
        training.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            Finite numbers, or NaN with ``missing="mask"``.
        random_state : int, RandomState instance or None, default=None
            What the codes are drawn from.

        Returns
        -------
        bound : float
            In nats a row, higher is better; of a density in the data's units, or of probabilities for the losses of
            discrete data.
        """
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return self._fitted_model.elbo(self._check_X(X), self._architecture.loss, seed)

    def _contained(self, values: Any, like: Any) -> Any:
        """Return rows of features in the container that was chosen for them, with the index of what they come from."""
        adapter = ADAPTERS_MANAGER.adapters.get(getattr(self, OUTPUT_CONFIG, {}).get("inverse_transform"))
        if adapter is None:
            return values
        names = [f"x{i}" for i in range(self.n_features_in_)] if self._names is None else self._names
        return adapter.create_container(values, like, columns=names)

    def _error_and_variance(self, X: Any) -> tuple[float, float]:
        """Return the squared error of X and its variance about the mean, summed over entries, in units of the scale."""
        (error,), variance = self._fitted_model.errors(self._check_X(X), self.mean_)
        return float(error), variance

    def _check_X(self, X: Any) -> Table:
        check_is_fitted(self)
        return self._table(X, reset=False)

    def _table(self, X: Any, *, reset: bool, least: int = 1) -> Table:
        """Return X as a table, after checking its names and its number of features, or noting them with `reset`."""
        source = TensorTable(X) if isinstance(X, Tensor) else out_of_core_table(X)
        if source is None:
            checks: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False, "ensure_min_samples": least}
            X = validate_data(self, X, accept_sparse="csr", reset=reset, **checks)
            return SparseTable(X) if issparse(X) else DenseTable(X)
        validate_data(self, source.header, skip_check_array=True, reset=reset)
        for what, n, at_least in zip(("sample", "feature"), source.shape, (least, 1), strict=True):
            if n < at_least:
                raise ValueError(
                    f"Found array with {n} {what}(s) (shape={source.shape}) while a minimum of {at_least} is required "
                    "by AutoencoderTransformer."
                )
        return source if isinstance(source, TensorTable) else in_memory_where_small(source)

    @property
    def _names(self) -> np.ndarray | None:
        return getattr(self, "feature_names_in_", None)

    def _keep(self, n_components: int) -> None:
        """Reduce an ordered code to its first units."""
        module64 = self._fitted_model.module64
        for part in (self.module_, module64, self._moments):
            part.keep_(n_components)
        self._architecture = self._architecture._replace(n_kept=n_components)
        self._tell(self.module_, module64)

    def _tell(self, module: Autoencoder, module64: Autoencoder) -> None:
        """Set what is told of a network whose code map is set."""
        scale, widths = self._scaling.scale, self._scaling.column_weights
        explained = explained_variance(module64, self._moments, scale, widths)
        self._set_fitted_model(module, module64)
        self.components_, self.explained_variance_, self.explained_variance_ratio_ = explained
        self.n_components_ = module.n_components

    def _set_fitted_model(self, module: Autoencoder, module64: Autoencoder) -> None:
        bounds = self._bounds if module.output.bounded else None
        self._fitted_model = FittedModel(module, module64, self._scaling, bounds, self._names, self._fill)

    @property
    def _fill(self) -> Tensor | None:
        """What stands for missing entries in the network's coordinates: the mean; None where they are refused."""
        return torch.from_numpy(self._scaling.transform_point(self.mean_)) if self.missing == "mask" else None

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.input_tags.positive_only = member(self.loss, LOSSES).positive_only
        return tags
