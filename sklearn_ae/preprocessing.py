"""Encode frames of numbers, binaries and categories, with gaps, for an autoencoder, and decode them."""

from collections import Counter
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_ae._data.frames import Column, Frame, build_frame, fill_gaps, read_frame
from sklearn_ae._utils.compat import StrOptions, feature_names_in, fit_context
from sklearn_ae.losses import Loss, loss_by_kind

__all__ = ["FrameEncoder", "impute"]


class FrameEncoder(TransformerMixin, BaseEstimator):
    """Encode a frame with numbers, binaries, categories and gaps, and decode it.

    Numbers are standardised, a binary becomes one column of 0 and 1, a category one column for each level. A missing
    value is NaN in all columns that it becomes, for ``AutoencoderTransformer(missing="mask")``. ``inverse_transform``
    returns a frame with the columns and dtypes seen in ``fit``, and :meth:`loss` the loss that fits the columns.

    Parameters
    ----------
    kinds : dict or None, default=None
        Kinds of columns by name, ``"number"`` or ``"category"``, for those that should not have the kind that is found:
        codes of categories that are numbers, or numbers of which ``fit`` sees only two. Columns of an array are named
        x0, x1, ...
    handle_unknown : {"error", "missing"}, default="error"
        Whether a level that was not seen in ``fit`` raises an error in ``transform`` or counts as missing.

    Attributes
    ----------
    kinds_ : dict
        Kind of each column by name: ``"number"``, ``"binary"``, ``"category"``, or ``"empty"`` if no value was
        observed. Binaries are booleans, columns with two levels, and numbers with two values, both whole, as 0 and 1.
        Categories are other strings and categorical dtypes.
    levels_ : dict
        Levels of each binary and category by name: those of the dtype if it has levels, otherwise the values observed,
        sorted.
    scaler_ : StandardScaler or None
        The scaler of the numbers, None without numbers.
    one_hot_ : OneHotEncoder or None
        The encoder of binaries and categories, None without these.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they are all strings.

    See Also
    --------
    impute : Fill the gaps of a frame by a Pipeline with an autoencoder.

    Notes
    -----
    Encoded columns are in the order of the frame. Empty columns are left out, and decoded as gaps. ``transform`` and
    ``inverse_transform`` work without an autoencoder too.

    In cross-validation a fold may lack a level of a column of strings, and a loss made for all levels then raises an
    error: give such columns a categorical dtype, which keeps its levels.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.preprocessing import FrameEncoder, impute
    >>> frame = pd.DataFrame({"age": [31, 42, 57, 68], "smoker": [False, True, True, False]})
    >>> frame["stage"] = pd.Categorical(["I", None, "III", "II"], ordered=True)
    >>> encoder = FrameEncoder().fit(frame)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'smoker_True', 'stage_I', 'stage_II', 'stage_III']
    >>> autoencoder = AutoencoderTransformer(2, loss=encoder.loss(), missing="mask", max_epochs=5, random_state=0)
    >>> pipeline = make_pipeline(encoder, autoencoder).fit(frame)
    >>> bool(impute(pipeline, frame).isna().any(axis=None))
    False
    """

    _parameter_constraints = {  # noqa: RUF012
        "kinds": [dict, None],
        "handle_unknown": [StrOptions({"error", "missing"})],
    }

    def __init__(self, *, kinds: dict[str, str] | None = None, handle_unknown: str = "error"):
        self.kinds = kinds
        self.handle_unknown = handle_unknown

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the kinds of the columns, the scale of numbers and the levels of categories.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A frame of pandas or polars, or an array. Gaps are NaN, None or the null values of the library.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : FrameEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If a column holds dates or another type that cannot be encoded, holds infinity, is named twice or in
            `kinds` with a kind that it cannot have, or if no value is observed in any column.
        """
        frame = read_frame(X, type(self).__name__)
        chosen = self._chosen_kinds(frame)
        levels = {n: _levels_of(n, c, chosen.get(n)) for n, c in zip(frame.names, frame.columns, strict=True)}
        kinds = {n: _kind(c, levels[n]) for n, c in zip(frame.names, frame.columns, strict=True)}
        if set(kinds.values()) == {"empty"}:
            raise ValueError(f"No value of X is observed: all of its {len(kinds)} column(s) are missing.")
        names, groups = _encoded_names(kinds, levels)
        categorical = {name: found for name, found in levels.items() if kinds[name] in ("binary", "category")}
        numbers = [c.values for n, c in zip(frame.names, frame.columns, strict=True) if kinds[n] == "number"]
        one_hot = None
        if categorical:
            one_hot = OneHotEncoder(categories=list(categorical.values()), drop="if_binary", sparse_output=False)
            one_hot.set_output(transform="default")
            one_hot.fit(np.array([[found[0] for found in categorical.values()]], dtype=object))
        scaler = StandardScaler().set_output(transform="default").fit(np.stack(numbers, axis=1)) if numbers else None
        validate_data(self, frame.X, skip_check_array=True)
        self.kinds_, self.levels_ = kinds, categorical
        self.scaler_, self.one_hot_ = scaler, one_hot
        self._groups, self._names_out = groups, names
        self._container, self._labels = frame.container, frame.labels
        self._dtypes = [column.dtype for column in frame.columns]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the encoded columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Columns as in ``fit``.

        Returns
        -------
        X_encoded : ndarray of shape (n_samples, n_encoded), float64
            Columns as named by ``get_feature_names_out``; NaN for missing values. A frame if ``set_output`` chose one.

        Raises
        ------
        NotFittedError
            If the encoder is not fitted.
        ValueError
            If X does not have the columns seen in ``fit``, or one of them has strings in place of numbers, or a level
            that was not seen in ``fit`` with ``handle_unknown="error"``.
        """
        check_is_fitted(self)
        frame = read_frame(X, type(self).__name__)
        validate_data(self, frame.X, reset=False, skip_check_array=True)
        columns = dict(zip(self.kinds_, frame.columns, strict=True))
        encoded: np.ndarray = np.empty((len(frame.columns[0].values), len(self._names_out)))
        if self.scaler_ is not None:
            numbers = [_numbers(name, columns[name]) for name, kind in self.kinds_.items() if kind == "number"]
            encoded[:, self._columns_of("number")] = self.scaler_.transform(np.stack(numbers, axis=1))
        if self.one_hot_ is not None:
            values, gaps = zip(*(self._known(name, columns[name]) for name in self.levels_), strict=True)
            one_hot = self.one_hot_.transform(np.stack(values, axis=1))
            widths = [len(self._groups[name]) for name in self.levels_]
            one_hot[np.repeat(np.stack(gaps, axis=1), widths, axis=1)] = np.nan
            encoded[:, self._columns_of("binary", "category")] = one_hot
        return encoded

    def inverse_transform(self, X: Any) -> Any:
        """Return a frame, or an array if ``fit`` saw one, for encoded columns or their reconstruction.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_encoded)
            Encoded columns. NaN is a gap.

        Returns
        -------
        X_original : DataFrame or ndarray of shape (n_samples, n_features)
            Columns as in ``fit``, with their dtypes, or the nearest ones that can hold gaps, if there are any. Numbers
            of integer dtypes are rounded, a binary is its second level above 0.5, a category its greatest level. The
            index of a pandas frame is that of X if X is one.

        Raises
        ------
        NotFittedError
            If the encoder is not fitted.
        ValueError
            If X does not have the encoded columns.
        """
        check_is_fitted(self)
        values = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan", copy=True, input_name="X")
        if values.shape[1] != len(self._names_out):
            raise ValueError(
                f"X has {values.shape[1]} columns, but this {type(self).__name__} encodes frames in "
                f"{len(self._names_out)}: expected encoded columns, as transform returns them."
            )
        numbers = self._columns_of("number")
        if self.scaler_ is not None:
            values[:, numbers] = self.scaler_.inverse_transform(values[:, numbers])
        columns = [self._decoded(name, values[:, self._groups[name]]) for name in self.kinds_]
        return build_frame(self._container, self._labels, columns, self._dtypes, X)

    def loss(self) -> Loss:
        """Return the loss that fits the encoded columns.

        Returns
        -------
        loss : Mixed
            Squared error for numbers, log loss for binaries, one cross-entropy for each category, by the indices of
            the encoded columns.
        """
        check_is_fitted(self)
        categories = [self._groups[name] for name, kind in self.kinds_.items() if kind == "category"]
        return loss_by_kind(self._columns_of("number"), self._columns_of("binary"), categories)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns; if ``fit`` saw names, these.

        Returns
        -------
        names : ndarray of str objects
            A number has its column's name, other columns the name and the level, as ``stage_II``.
        """
        check_is_fitted(self)
        given = feature_names_in(self, input_features)
        kinds = {str(name): kind for name, kind in zip(given, self.kinds_.values(), strict=True)}
        levels = {str(name): self.levels_.get(own, []) for name, own in zip(given, self.kinds_, strict=True)}
        return np.array(_encoded_names(kinds, levels)[0], dtype=object)

    def _chosen_kinds(self, frame: Frame) -> dict[str, str]:
        chosen = {str(name): kind for name, kind in (self.kinds or {}).items()}
        for name, kind in chosen.items():
            if name not in frame.names:
                raise ValueError(f"kinds names the column {name!r}, but X has the columns {frame.names[:10]}.")
            if kind not in ("number", "category"):
                raise ValueError(f"kinds={{{name!r}: {kind!r}}}: a kind must be 'number' or 'category'.")
        return chosen

    def _columns_of(self, *kinds: str) -> list[int]:
        """Return the indices of the encoded columns of some kinds."""
        return [i for name, kind in self.kinds_.items() if kind in kinds for i in self._groups[name]]

    def _known(self, name: str, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Return the levels of a binary or a category, the first for gaps, and which are gaps."""
        levels, values = set(self.levels_[name]), column.values.astype(object)
        known = np.array([value in levels for value in values], dtype=bool)
        unknown = ~known & ~column.gaps
        if unknown.any() and self.handle_unknown == "error":
            found = sorted({repr(value) for value in values[unknown].tolist()})
            remedy = f", or kinds={{{name!r}: 'number'}}" if column.is_numeric else ""
            raise ValueError(
                f"Found unknown values in the column {name!r} in transform: {', '.join(found[:5])}; fit saw the levels "
                f"{self.levels_[name][:10]}. Set handle_unknown='missing' to treat them as missing{remedy}."
            )
        values[~known] = self.levels_[name][0]
        return values, ~known

    def _decoded(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the values of a column for its encoded columns, with numbers in their own units."""
        kind = self.kinds_[name]
        if kind == "number":
            return values[:, 0]
        if kind == "empty":
            return np.full(len(values), None, dtype=object)
        gaps = np.isnan(values).any(axis=1)
        values = np.where(gaps[:, None], 0.0, values)
        chosen = values.argmax(axis=1) if kind == "category" else (values[:, 0] > 0.5).astype(int)
        levels = np.empty(len(self.levels_[name]) + 1, dtype=object)  # the last one, None, is that of gaps
        levels[:-1] = self.levels_[name]
        chosen[gaps] = -1
        return levels[chosen]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def impute(pipeline: Any, X: Any) -> Any:
    """Return X with missing cells filled by a Pipeline that ends in an autoencoder.

    The steps before the autoencoder transform X, the autoencoder fills the gaps with their reconstruction, and the
    steps transform back.

    Parameters
    ----------
    pipeline : Pipeline or AutoencoderTransformer
        Fitted. The last step has ``missing="mask"``, and the steps before it accept gaps and have
        ``inverse_transform``, as :class:`FrameEncoder` and ``StandardScaler`` do.
    X : DataFrame or array-like of shape (n_samples, n_features)
        With gaps.

    Returns
    -------
    X_filled : DataFrame or ndarray of shape (n_samples, n_features)
        A copy of X with the same observed cells, dtypes and index. Gaps of columns without any observed value in
        ``fit`` stay.

    Raises
    ------
    TypeError
        If a step cannot transform back, or the last one cannot impute.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.preprocessing import impute
    >>> X = load_iris(as_frame=True).data
    >>> X.iloc[0, 2] = np.nan
    >>> autoencoder = AutoencoderTransformer(2, missing="mask", max_epochs=20, random_state=0)
    >>> filled = impute(make_pipeline(StandardScaler(), autoencoder).fit(X), X)
    >>> bool(1 < filled.iloc[0, 2] < 2)
    True
    """
    steps = list(pipeline.named_steps.items()) if isinstance(pipeline, Pipeline) else [("autoencoder", pipeline)]
    steps = [(name, step) for name, step in steps if step is not None and step != "passthrough"]
    *before, (last, autoencoder) = steps
    if not hasattr(autoencoder, "impute"):
        raise TypeError(
            f"The last step, {last!r}, is {autoencoder!r}, which cannot impute: it should be an AutoencoderTransformer "
            "with missing='mask'."
        )
    for name, step in before:
        if not hasattr(step, "inverse_transform"):
            raise TypeError(
                f"The step {name!r}, a {type(step).__name__}, has no inverse_transform, which imputation needs. "
                "For frames of numbers and categories use sklearn_ae.preprocessing.FrameEncoder."
            )
    values = X
    for _, step in before:
        values = step.transform(values)
    filled = autoencoder.impute(values)
    for _, step in reversed(before):
        filled = step.inverse_transform(filled)
    return fill_gaps(X, filled)


def _levels_of(name: str, column: Column, kind: str | None) -> list[Any]:
    """Return the levels of a binary or a category, none for numbers."""
    if not column.is_numeric:
        levels = column.dtype["levels"] or sorted(set(column.values[~column.gaps].tolist()))
        if kind == "number" and levels:
            raise ValueError(f"kinds={{{name!r}: 'number'}}, but its dtype is {column.dtype['name']}.")
        return list(levels)
    values = np.unique(column.values[~column.gaps])
    whole = bool((values == np.round(values)).all())
    if kind == "category" or (kind is None and len(values) == 2 and whole):
        return [int(value) for value in values] if whole else values.tolist()
    return []


def _kind(column: Column, levels: list[Any]) -> str:
    if column.gaps.all():
        return "empty"
    return {0: "number", 2: "binary"}.get(len(levels), "category")


def _encoded_names(kinds: dict[str, str], levels: dict[str, list[Any]]) -> tuple[list[str], dict[str, list[int]]]:
    """Return the names of the encoded columns, and the indices of those of each column."""
    names: list[str] = []
    groups = {}
    for name, kind in kinds.items():
        named = {"number": [""], "empty": [], "binary": levels[name][1:], "category": levels[name]}[kind]
        groups[name] = list(range(len(names), len(names) + len(named)))
        names += [name if kind == "number" else f"{name}_{level}" for level in named]
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise ValueError(f"Encoded columns would have the same names, {repeated}: rename columns of X.")
    return names, groups


def _numbers(name: str, column: Column) -> np.ndarray:
    """Return the values of a column of numbers."""
    if column.is_numeric:
        return column.values
    if not column.gaps.all():
        raise ValueError(
            f"The column {name!r} held numbers in fit, but now has dtype {column.dtype['name']}: convert it to numbers."
        )
    return np.full(len(column.values), np.nan)
