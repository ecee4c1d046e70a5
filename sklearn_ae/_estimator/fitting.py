"""A fit in three steps, plan, train and finish: each takes what it needs and returns what it made.

They read the estimator's parameters but never change it: a failed fit leaves it unchanged.
"""

from collections.abc import Iterator
from copy import copy, deepcopy
from enum import Enum
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Generator

from sklearn_ae._checkpoints.checkpoint import Checkpoint, checkpoint_of, digest_of
from sklearn_ae._data.columns import ColumnRange, ColumnStats, check_range, check_scale, warn_about_ranges
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.split import SeparateRows, Split, held_out_rows
from sklearn_ae._data.tables import SparseTable, Table
from sklearn_ae._data.training_rows import TrainingRows, to_training_rows
from sklearn_ae._estimator.configuration import (
    building_blocks,
    callbacks_of,
    check_building_blocks,
    check_monitors,
    check_unchanged,
    choose_architecture,
    choose_corruption,
    find_device,
    make_net,
    max_epochs_of,
    patience_of,
    training_parameters,
    warn_about_architecture,
)
from sklearn_ae._estimator.fitted_state import FittedState
from sklearn_ae._estimator.size_selection import is_selected_by_fit, smallest_sufficient, units_of_an_exact_start
from sklearn_ae._estimator.validation import errors_about, new_table, validated_table, with_features
from sklearn_ae._model.canonical import canonicalize_
from sklearn_ae._model.code_maps import CodeMap
from sklearn_ae._model.fitted_model import in_float64
from sklearn_ae._model.initializers import axes_of_start, initialize_, pca_, starts_as_pca
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._model.statistics import CodeMoments, add_moments
from sklearn_ae._training.callbacks import KeepBest
from sklearn_ae._training.net import AutoencoderNet, train_one_pass, unchanged_on_error, warn_if_not_converged
from sklearn_ae._training.optimizers import rule
from sklearn_ae._training.processes import Processes, SingleProcess, processes_for
from sklearn_ae._training.resume import WriteCheckpoint
from sklearn_ae._training.sklearn_callbacks import CallbackContext, SklearnCallbacks

__all__ = ["finish", "plan_fit", "plan_pass", "run_pass", "train"]


class Start(Enum):
    """Kinds of weights before the first step; the value describes the result if a fit keeps them."""

    PCA = "the initialization: the result is PCA of X"
    INITIALIZATION = "the initialization, which is kept"
    PREVIOUS_FIT = "the weights of the previous fit, which are kept"


class FitPlan(NamedTuple):
    """All that a fit determines before its first step."""

    params: Any  # the estimator
    features: dict[str, Any]  # the attributes that describe the features
    dtype: np.dtype  # of the fitted attributes
    architecture: Architecture
    scaling: Scaling
    columns: ColumnStats
    column_range: ColumnRange  # of these samples and those of earlier fits
    module: Autoencoder  # initialized
    start: Start
    rows: TrainingRows
    split: Split | SeparateRows | None
    seed: int
    processes: Processes
    checkpoint: Checkpoint | None
    most_units: int | None = None  # that a fit which selects their number may keep
    axes: torch.Tensor | None = None  # (m, d), principal axes of the initialization

    @property
    def train_rows(self) -> TrainingRows:
        """The samples to train on."""
        return self.rows if self.split is None else self.split(self.rows)[0]

    @property
    def validation_rows(self) -> TrainingRows | None:
        """The samples to validate on, if any."""
        return None if self.split is None else self.split(self.rows)[1]


class Training(NamedTuple):
    """The result of training."""

    net: AutoencoderNet
    module: Autoencoder  # with the weights that are kept
    keep_best: KeepBest

    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes that describe the training."""
        scores = self.keep_best.validation_scores_
        losses = [epoch["train_loss"] for epoch in self.net.history if "train_loss" in epoch]
        return {
            "net_": self.net,
            "loss_curve_": np.array(losses),
            "validation_scores_": None if scores is None else np.array(scores),
            "n_iter_": len(losses),
            "best_epoch_": self.keep_best.chosen[0],
        }


def plan_fit(params: Any, X: Any, X_val: Any = None) -> FitPlan:
    """Validate data and parameters, and return all that training needs."""
    if not params.early_stopping:
        check_monitors(params.callbacks, "set early_stopping=True")
    device = find_device(params.device)
    processes = processes_for(params.distributed, device)
    table, features = new_table(params, X, min_samples=2)
    random_state = processes.broadcast_object(check_random_state(params.random_state))
    names = features.get("feature_names_in_")
    columns, architecture = _inspect_data(params, table, names)
    previous = getattr(params, "_architecture", None)
    warn_about_architecture(params, architecture, previous)
    is_warm = params.warm_start and previous is not None and previous.untruncated == architecture
    checkpoint = checkpoint_of(params, warm=is_warm, alone=type(processes) is SingleProcess)
    given = _inspect_validation_data(params, X_val, features, architecture)
    valid = None if given is not None else _draw_validation_rows(params, table, random_state)
    seed = _draw_seed(random_state)
    if checkpoint is not None:
        seed, valid = checkpoint.restore_split(seed, valid)
    module = _checked_module(params, architecture, columns, names, seed).to(device)
    scaling = params._scaling if is_warm else _new_scaling(params, architecture, columns)
    scaling = scaling.filling(params.missing == "mask")
    if not isinstance(table, SparseTable):  # single entries determine its ranges
        warn_about_ranges(columns, module.output.unscaled, names)
    rows, split = _rows_and_split(table, columns, given, valid, scaling, device)
    if checkpoint is not None:
        _check_data(checkpoint, scaling, rows, split)
    column_range = params._column_range.union(columns.range) if is_warm else columns.range
    start = Start.PCA if starts_as_pca(module, params.init) else Start.INITIALIZATION
    start = Start.PREVIOUS_FIT if is_warm else start
    fixed = (params, features, table.dtype, architecture, scaling, columns, column_range, module, start)
    plan = FitPlan(*fixed, rows, split, seed, processes, checkpoint)
    if is_warm:
        module.network.load_state_dict(params.module_.network.state_dict())
    _describe_data_(module, scaling, column_range)
    if not is_warm:
        initialize_(module, params.init, plan.train_rows, Generator().manual_seed(seed))
    if params.distributed:
        processes.check_same(_settings_shared_by_processes(plan) | {"the fit to continue from": is_warm})
    selecting = plan.rows if plan.validation_rows is None else plan.validation_rows
    axes = None if is_warm else axes_of_start(module, params.init)
    return plan._replace(most_units=_most_units(params, module, selecting), axes=axes)


def train(plan: FitPlan, context: CallbackContext | None) -> Training:
    """Train the planned module."""
    params, n_samples = plan.params, len(plan.train_rows)
    blocks = (plan.architecture.code, plan.architecture.loss, *building_blocks(params))
    annealed_until = max(block.annealed_until for block in blocks if block is not None)
    keep_best = KeepBest(patience_of(params), params.tol, annealed_until)
    own: list[Any] = []
    if context is not None:
        own.append(SklearnCallbacks(context, lambda net: _snapshot(plan, net, keep_best)))
    if plan.checkpoint is not None:
        own.append(WriteCheckpoint(plan.checkpoint))
    net = make_net(
        params,
        plan.architecture,
        plan.module,
        n_samples=n_samples,
        seed=plan.seed,
        continues=plan.start is Start.PREVIOUS_FIT,
        data_bounds=plan.scaling.data_bounds(plan.column_range, plan.rows.device),
        scaling=plan.rows.scaling,
        callbacks=[*callbacks_of(params.callbacks), *own],
        max_epochs=max_epochs_of(params, n_samples),
        lr_schedule=params.lr_schedule,
        train_split=plan.split,
        average_window=rule().average_window,
        keep_best=keep_best,
        processes=plan.processes,
    )
    plan.processes.broadcast_weights(plan.module)
    net.partial_fit(plan.rows)
    plan.processes.broadcast_weights(plan.module)  # machines may round differently
    net.train_split = None  # its indices are those of these samples
    net.processes = SingleProcess()
    warn_if_not_converged(net, _to_improve_on(plan))
    return Training(net, plan.module, keep_best)


def finish(plan: FitPlan, training: Training) -> dict[str, Any]:
    """Return the fitted attributes after training.

    PCA that is kept is computed again, in place: of all samples, and in float64 unless X is float32.
    """
    module, valid = training.module, plan.validation_rows
    rows, what = (plan.rows, "training") if valid is None else (valid, "validation")
    size = _select_size(plan, module, rows, what)
    keeps_pca = plan.start is Start.PCA and training.keep_best.chosen[0] == 0
    in_double = keeps_pca and plan.dtype != np.float32
    if keeps_pca:
        pca_(module, plan.rows, Generator().manual_seed(plan.seed), torch.float64 if in_double else None)
        plan = plan._replace(axes=None)  # PCA that is computed again has its own signs
    state = _measure(plan, module, _new_moments(plan.architecture), code_map=None, size=size, in_double=in_double)
    return state.attributes() | training.attributes()


class PassPlan(NamedTuple):
    """All that a call of ``partial_fit`` determines before its first step."""

    params: Any  # the estimator
    features: dict[str, Any]  # the attributes that describe the features
    dtype: np.dtype  # of the fitted attributes
    architecture: Architecture
    scaling: Scaling
    columns: ColumnStats
    column_range: ColumnRange  # of these samples and those of earlier fits
    rows: TrainingRows
    net: AutoencoderNet
    moments: CodeMoments  # of the samples of earlier calls
    code_map: CodeMap | None  # of earlier calls, in float64
    n_iter: int  # epochs and calls before this one
    loss_curve: np.ndarray
    most_units: int | None = None  # that a call which selects their number may keep
    axes: torch.Tensor | None = None  # (m, d), principal axes of the initialization


def plan_pass(params: Any, X: Any) -> PassPlan:
    """Validate data and parameters, and return all that a pass over X needs."""
    check_monitors(params.callbacks, "partial_fit has none; leave the callback out")
    is_first = not hasattr(params, "module_")
    plan = _plan_first_pass(params, X) if is_first else _plan_next_pass(params, X)
    if is_first:
        warn_about_architecture(params, plan.architecture)
    plan.net.data_bounds = plan.scaling.data_bounds(plan.column_range, plan.rows.device)
    plan.net.scaling = plan.rows.scaling
    plan.net.corruption = choose_corruption(params)
    return plan


def run_pass(plan: PassPlan) -> dict[str, Any]:
    """Train for one pass and return the fitted attributes; a failed pass leaves the weights unchanged."""
    module, size = plan.net.module_, None
    with unchanged_on_error(plan.net):
        _describe_data_(module, plan.scaling, plan.column_range)
        loss = train_one_pass(plan.net, plan.rows)
        if plan.code_map is None:
            size = _select_size(plan, module, plan.rows, "training")
        state = _measure(plan, module, plan.moments, plan.code_map, size)
    n_iter = plan.n_iter + 1
    return state.attributes() | {
        "net_": plan.net,
        "loss_curve_": np.append(plan.loss_curve, loss),
        "validation_scores_": None,
        "n_iter_": n_iter,
        "best_epoch_": n_iter,
    }


def _plan_first_pass(params: Any, X: Any) -> PassPlan:
    table, features = new_table(params, X, min_samples=2)
    names = features.get("feature_names_in_")
    columns, architecture = _inspect_data(params, table, names)
    seed = _draw_seed(check_random_state(params.random_state))
    module = _checked_module(params, architecture, columns, names, seed).to(find_device(params.device))
    scaling = _new_scaling(params, architecture, columns)
    rows = to_training_rows(table, scaling.filling(columns.gaps), module.device)
    _describe_data_(module, scaling, columns.range)
    initialize_(module, params.init, rows, Generator().manual_seed(seed))
    return PassPlan(
        params,
        features,
        table.dtype,
        architecture,
        scaling,
        columns,
        columns.range,
        rows,
        make_net(params, architecture, module, len(rows), seed, max_epochs=1, train_split=None),
        _new_moments(architecture),
        code_map=None,
        n_iter=0,
        loss_curve=np.empty(0),
        most_units=_most_units(params, module, rows),
        axes=axes_of_start(module, params.init),
    )


def _plan_next_pass(params: Any, X: Any) -> PassPlan:
    params._validate_params()  # scikit-learn validates those of the first call only
    state = FittedState.of(params)
    names = state.features.get("feature_names_in_")
    check_unchanged(params, state.architecture, names, masks_missing=state.scaling.fills_missing)
    table = validated_table(params, X)
    columns = table.columns(names, allow_nan=state.scaling.fills_missing)
    check_building_blocks(state.architecture, state.module, building_blocks(params))
    _check_range(params, state.architecture, columns, names)
    rows = to_training_rows(table, state.scaling.filling(columns.gaps), state.module.device)
    net = params.net_
    # a net that ``fit`` made keeps weights by other rules
    if net.keep_best is not None or net.made_with != training_parameters(params):
        seed = _draw_seed(check_random_state(params.random_state))
        module = deepcopy(state.module)
        net = make_net(params, state.architecture, module, len(rows), seed, max_epochs=1, train_split=None)
    return PassPlan(
        params,
        state.features,
        state.dtype,
        state.architecture,
        state.scaling,
        columns,
        state.column_range.union(columns.range),
        rows,
        net,
        copy(state.moments),
        state.module64.code_map,
        params.n_iter_,
        params.loss_curve_,
    )


def _inspect_data(params: Any, table: Table, names: np.ndarray | None) -> tuple[ColumnStats, Architecture]:
    """Return the statistics of the columns and the architecture that suits them."""
    columns = table.columns(names, allow_nan=params.missing == "mask")
    return columns, choose_architecture(params, table.shape, columns, names)


def _draw_validation_rows(params: Any, table: Table, random_state: np.random.RandomState) -> np.ndarray | None:
    if not params.early_stopping:
        return None
    return held_out_rows(len(table), params.validation_fraction, random_state, table.most_held_out)


def _inspect_validation_data(
    params: Any, X_val: Any, features: dict[str, Any], architecture: Architecture
) -> tuple[Table, ColumnStats] | None:
    """Return the user's validation data as a table, with the statistics of its columns."""
    if X_val is None:
        return None
    if not params.early_stopping:
        raise ValueError(
            "X_val chooses the best epoch and when to stop, which early_stopping=False leaves to the training loss: "
            "set early_stopping=True, or do not pass X_val."
        )
    names = features.get("feature_names_in_")
    with errors_about("X_val"):
        table = validated_table(with_features(params, features), X_val)
        columns = table.columns(names, allow_nan=params.missing == "mask")
        _check_range(params, architecture, columns, names)
    return table, columns


def _rows_and_split(
    table: Table,
    columns: ColumnStats,
    given: tuple[Table, ColumnStats] | None,
    held_out: np.ndarray | None,
    scaling: Scaling,
    device: torch.device,
) -> tuple[TrainingRows, Split | SeparateRows | None]:
    """Return the samples and their split: the given validation data, rows held out by index, or none."""
    if given is None:
        rows = to_training_rows(table, scaling.filling(columns.gaps), device)
        return rows, None if held_out is None else Split(held_out)
    scaling = scaling.filling(columns.gaps or given[1].gaps)  # the net fills both in the same way
    rows = to_training_rows(table, scaling, device)
    with errors_about("X_val"):
        return rows, SeparateRows(to_training_rows(given[0], scaling, device))


def _draw_seed(random_state: np.random.RandomState) -> int:
    return int(random_state.randint(np.iinfo(np.int32).max))


def _checked_module(
    params: Any, architecture: Architecture, columns: ColumnStats, names: np.ndarray | None, seed: int
) -> Autoencoder:
    """Return a module that is not initialized, after checking data and building blocks against it."""
    module = build(architecture, seed)
    check_building_blocks(architecture, module, building_blocks(params))
    _check_range(params, architecture, columns, names)
    return module


def _check_range(params: Any, architecture: Architecture, columns: ColumnStats, names: np.ndarray | None) -> None:
    what = f"loss={params.loss!r} with output_activation={params.output_activation!r}"
    check_range(columns.range, architecture.make_output().data_range, names, what)


def _new_scaling(params: Any, architecture: Architecture, columns: ColumnStats) -> Scaling:
    unscaled = architecture.make_output().unscaled
    scaling = Scaling.of(columns, unscaled, fills_missing=params.missing == "mask")
    check_scale(scaling.scale)
    return scaling


def _describe_data_(module: Autoencoder, scaling: Scaling, columns: ColumnRange) -> None:
    """Set the range and the mean of the data in the output activation."""
    points = (columns.low, columns.high, scaling.mean)
    low, high, mean = (torch.from_numpy(scaling.transform_point(point)) for point in points)
    module.output.set_range(low, high)
    module.output.set_mean(mean)


def _check_data(
    checkpoint: Checkpoint, scaling: Scaling, rows: TrainingRows, split: Split | SeparateRows | None
) -> None:
    """Raise a ValueError if a checkpoint belongs to a fit to other data, or with other validation data."""
    own = chain((scaling.mean, np.array([scaling.scale])), _arrays_of(rows))
    checkpoint.check_data("data", rows.shape, own)
    if isinstance(split, SeparateRows):
        checkpoint.check_data("X_val", split.rows.shape, _arrays_of(split.rows))
    else:
        checkpoint.check_data("X_val")


def _arrays_of(rows: TrainingRows) -> Iterator[np.ndarray]:
    for chunk in rows.chunks():
        yield chunk.cpu().numpy()


def _settings_shared_by_processes(plan: FitPlan) -> dict[str, Any]:
    """Return by name what must be the same in all processes that train together."""
    own = ("callbacks", "device", "random_state", "verbose")
    params = {name: value for name, value in plan.params.get_params(deep=False).items() if name not in own}
    plain = {name: value for name, value in params.items() if isinstance(value, (bool, int, float, str, tuple))}
    first = next(plan.rows.chunks())[:8].cpu().numpy()
    data = {"mean of X": plan.scaling.mean.tobytes(), "first rows of X": first.tobytes()}
    given = plan.split.rows if isinstance(plan.split, SeparateRows) else None
    data["X_val"] = b"" if given is None else digest_of(_arrays_of(given)).encode()
    return {"shape of X": plan.rows.shape, **data, **plain}


def _snapshot(plan: FitPlan, net: AutoencoderNet, keep_best: KeepBest) -> dict[str, Any]:
    """Return the attributes of the estimator as if training ended now."""
    module = deepcopy(net.module_).eval()
    module.load_state_dict(keep_best.chosen[1])
    return vars(plan.params) | finish(plan, Training(net, module, keep_best))


def _to_improve_on(plan: FitPlan) -> str | None:
    """Return what training should improve on; None if that is optimal: PCA of a linear autoencoder, or no error."""
    is_linear = plan.module.is_linear and not plan.module.output.bounded
    is_complete = plan.architecture.n_components == plan.architecture.n_features
    return None if plan.start is Start.PCA and (is_linear or is_complete) else plan.start.value


def _new_moments(architecture: Architecture) -> CodeMoments:
    a = architecture
    return CodeMoments(a.n_components, rotation_invariant=a.rotation_invariant, ordered=a.ordered)


def _measure(
    plan: FitPlan | PassPlan,
    module: Autoencoder,
    moments: CodeMoments,
    code_map: CodeMap | None,
    size: int | None,
    *,
    in_double: bool = False,
) -> FittedState:
    """Return the state of a trained module, with its canonical code or that of earlier calls, reduced to a size."""
    module64 = in_float64(module)
    measured = module64 if in_double else module
    scores = add_moments(moments, measured, plan.rows, plan.scaling.variance(plan.columns), plan.axes)
    if code_map is None:
        canonicalize_(module64, moments, plan.scaling, scores)
        module.code_map.load_state_dict(module64.code_map.state_dict())
    else:
        module64.code_map.load_state_dict(code_map.state_dict())
    fixed = (plan.features, plan.dtype, plan.architecture, plan.scaling, plan.column_range)
    state = FittedState(*fixed, moments, module, module64)
    return state if size is None else state.truncated_(size)


def _most_units(params: Any, module: Autoencoder, rows: TrainingRows) -> int | None:
    """Return how many components a fit that selects their number may keep, given the initialized module."""
    return units_of_an_exact_start(module, rows) if is_selected_by_fit(params.n_components) else None


def _select_size(plan: FitPlan | PassPlan, module: Autoencoder, rows: TrainingRows, what: str) -> int | None:
    """Return the smallest sufficient size of a code on some samples, or None if `n_components` is the size."""
    if plan.most_units is None:
        return None
    return smallest_sufficient(plan.params.n_components, module, rows, what, plan.most_units)
