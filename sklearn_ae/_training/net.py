"""The skorch net that trains an autoencoder: steps and batches."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import inf
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from skorch.utils import to_tensor
from torch import Generator, Tensor

from sklearn_ae._data.scaling import GREATEST_ENTRY, Scaling
from sklearn_ae._data.training_rows import TrainingRows, n_batches
from sklearn_ae._model.module import Autoencoder, global_generator_seeded
from sklearn_ae._model.statistics import r_squared
from sklearn_ae._model.weights import weights_of
from sklearn_ae._training.callbacks import KeepBest, Progress, StopTraining
from sklearn_ae._training.optimizers import SCHEDULES, WeightAverage, limit_norm_, mixed_precision, parameter_groups
from sklearn_ae._training.processes import Processes, SingleProcess
from sklearn_ae._utils.threads import one_thread
from sklearn_ae.base import DataBounds, Step
from sklearn_ae.corruptions import Corruption
from sklearn_ae.losses import Loss
from sklearn_ae.networks import skip_zero_branches

__all__ = ["AutoencoderNet", "Batches", "Objective", "train_one_pass", "unchanged_on_error", "warn_if_not_converged"]

#: Greatest number of entries in a batch of evaluation, unless training has larger ones; at most 1,024 samples.
EVALUATED_ENTRIES = 2**20
#: Weights times samples of a training step below which a second thread does not pay.
SMALL_STEP = 5_000_000
#: R² of an initialization that leaves little to gain.
NEARLY_ALL = 0.999


class Objective:
    """The training objective: the mean loss per entry, plus terms relative to the loss of a whole sample."""

    def __init__(self, loss: Loss, terms: Sequence[Callable[[Step], Tensor]], n_entries: int):
        self.loss = loss
        self.terms = terms
        self.n_entries = n_entries

    def __call__(self, step: Step) -> Tensor:
        """Return the objective of a step, a scalar."""
        n_entries: Any = self.n_entries
        if step.observed is None:
            total = self.loss(step)
        else:
            known = self.loss.observed_mask(step.observed)
            total, n_entries = self.loss.observed_mean(step), known.sum().clamp_min(1) / len(known)
        for term in self.terms:
            total = total + term(step) / n_entries
        return total


class Batches:
    """Batches of samples, which are their own targets; a new pass each time that skorch's loop iterates."""

    def __init__(self, rows: TrainingRows, size: int, generator: Generator | None = None):
        self.rows = rows
        self.size = size
        self.generator = generator

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x in self.rows.batches(self.size, self.generator):
            yield x, x


class AutoencoderNet(NeuralNet):
    """A skorch net whose target is its input, in centred and scaled coordinates.

    Takes skorch's parameters and those below. Everything that skorch's nets do works: ``predict`` reconstructs,
    ``history`` has the epochs, callbacks see every step.

    Parameters
    ----------
    seed : int
        Seed of batches and noise.
    precision : str
        A name in ``PRECISIONS``.
    fan_in : float
        Fan-in of a matrix that is trained at ``lr``; other rates are in proportion to a power of 1 / fan-in. Infinite:
        one rate.
    gradient_norm : float
        Maximum norm of the gradient of all weights; longer gradients are shortened to it.
    corruption : Corruption or None
        Noise added to the input of a training step.
    data_bounds : DataBounds or None
        Bounds of the data that the corruption is called with.
    scaling : Scaling or None
        How missing entries are filled and errors of validation measured; None for centred data without missing entries.
    lr_schedule : str
        A name in ``SCHEDULES``.
    average_window : int
        Number of steps that the average of the weights spans, 0 for none.
    keep_best : KeepBest or None
        Chooses and restores weights; None keeps the last.
    processes : Processes
        The processes that train together.
    """

    def __init__(
        self,
        *args: Any,
        seed: int = 0,
        precision: str = "float32",
        fan_in: float = inf,
        gradient_norm: float = inf,
        corruption: Corruption | None = None,
        data_bounds: DataBounds | None = None,
        scaling: Scaling | None = None,
        lr_schedule: str = "constant",
        average_window: int = 0,
        keep_best: KeepBest | None = None,
        processes: Processes = SingleProcess(),  # noqa: B008, it has no state
        **kwargs: Any,
    ):
        self.seed = seed
        self.precision = precision
        self.fan_in = fan_in
        self.gradient_norm = gradient_norm
        self.corruption = corruption
        self.data_bounds = data_bounds
        self.scaling = scaling
        self.lr_schedule = lr_schedule
        self.average_window = average_window
        self.keep_best = keep_best
        self.processes = processes
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        defaults = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]
        defaults += [(self.lr_schedule, schedule()) for schedule in SCHEDULES[self.lr_schedule]]
        if self.keep_best is not None:
            defaults.append(("keep_best", self.keep_best))
            if self.verbose and self.processes.is_first:
                defaults.append(("progress", Progress()))
        return defaults

    def initialize(self) -> "AutoencoderNet":
        """Initialize skorch's components and the generators of noise."""
        self.noise_ = Generator(self.device).manual_seed(self.seed)
        self.own_noise_ = self.processes.noise(self.noise_, self.seed)
        self.validation_noise_ = Generator(self.device)
        self.stop_ = self.interrupted_ = False
        self.progress_, self.n_steps_ = 1.0, 1
        super().initialize()
        self.start_average()
        return self

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Return skorch's arguments of the optimizer, the weights in groups with a rate each."""
        (groups,), settings = super().get_params_for_optimizer(prefix, named_parameters)
        if self.fan_in < inf:
            plain = [group["params"] for group in groups if "lr" not in group]
            groups = [group for group in groups if "lr" in group]
            groups += [group for weights in plain for group in parameter_groups(weights, settings["lr"], self.fan_in)]
        return (groups,), settings

    def initialize_criterion(self) -> "AutoencoderNet":
        """Use the objective unchanged: it is not a torch module."""
        self.criterion_ = self.criterion
        return self

    @property
    def scaling_(self) -> Scaling:
        """The scaling, or that of centred data without missing entries."""
        return Scaling(np.zeros(self.module_.n_features)) if self.scaling is None else self.scaling

    def start_average(self) -> None:
        """Restart the average of the weights at the present ones."""
        self.average_ = WeightAverage(self.module_, self.average_window) if self.average_window else None

    @property
    def candidate(self) -> Autoencoder:
        """The module whose weights would be kept now: the average, if any."""
        return self.module_ if self.average_ is None else self.average_.module

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return the samples of an array or a tensor, each its own target."""
        return TrainingRows(self._input(X)) if isinstance(X, (np.ndarray, Tensor)) else super().get_dataset(X, y)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return batches by index for :class:`TrainingRows`, skorch's iterator for anything else."""
        if not isinstance(dataset, TrainingRows):
            return super().get_iterator(dataset, training=training)
        if training:
            return Batches(dataset, self.batch_size, self.noise_)
        return Batches(dataset, max(self.batch_size, min(1024, EVALUATED_ENTRIES // dataset.shape[1])))

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training != training:
            self.module_.train(training)

    def _input(self, x: Any) -> Tensor:
        return to_tensor(x, device=self.device).to(torch.float32)

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return the reconstruction of a batch."""
        return self.module_(*self.scaling_.fill_missing(self._input(x)), **fit_params)

    def get_loss(self, y_pred: Step, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the objective of a step."""
        return self.criterion_(y_pred)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the objective of a batch, with noise, and its gradients."""
        self._set_training(True)
        x, share = self.processes.share(self._input(batch[0]))
        x, observed = self.scaling_.fill_missing(x)
        with mixed_precision(self.precision, self.device):
            step = self._noisy_step(self.module_, x, observed, self.progress_, self.own_noise_)
        loss = self.get_loss(step, x, X=x, training=True)
        loss.backward()
        loss = self.processes.average_gradients(self.module_, loss, share)
        if self.gradient_norm < inf:
            weights = (weight for group in self.optimizer_.param_groups for weight in group["params"])
            limit_norm_([weight.grad for weight in weights if weight.grad is not None], self.gradient_norm)
        return {"loss": loss, "y_pred": step.output}

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the objective of a batch, with noise from a fixed seed, and sum the error without noise."""
        self._set_training(False)
        x, share = self.processes.share(self._input(batch[0]))
        x, observed = self.scaling_.fill_missing(x)
        with torch.no_grad():
            step = self._noisy_step(self.candidate, x, observed, 1.0, self.validation_noise_)
            loss = self.get_loss(step, x, X=x)
            noisy = self.candidate.noisy or self.corruption is not None
            output = self.candidate(x, observed) if noisy else step.output
            error = _sum_of_squares(self.scaling_.distances(x, output, observed))
        loss, error = self.processes.reduce(share, loss, error)
        self.squared_error_ += error
        return {"loss": loss, "y_pred": output}

    def _noisy_step(
        self, module: Autoencoder, x: Tensor, observed: Tensor | None, progress: float, generator: Generator
    ) -> Step:
        corrupted = x if self.corruption is None else self.corruption(x, self.data_bounds, generator)  # type: ignore[arg-type]
        return module.step(corrupted, x, progress=progress, generator=generator, observed=observed)

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run an epoch; each pass over the validation set draws the same noise."""
        context: AbstractContextManager[None] = nullcontext()
        if not training:
            self._begin_validation()
        elif self.module_.uses_global_generator:
            seed = torch.randint(2**62, (1,), generator=self.own_noise_, device=self.own_noise_.device)
            context = global_generator_seeded(int(seed), self.own_noise_.device)
        with context:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training and self.average_ is not None:
            self.average_.take()

    def _begin_validation(self) -> None:
        self.validation_noise_.manual_seed(self.processes.seed(self.seed))
        self.squared_error_ = 0.0

    def validation_score(self) -> float:
        """Return the R² of the last pass over the validation set, without noise; the set is that of ``evaluate``."""
        return r_squared(self.squared_error_, self.squares_)

    def evaluate(self, dataset: TrainingRows) -> tuple[float, float]:
        """Return the mean objective of a data set and the R² without noise."""
        self._begin_validation()
        total = self.squares_ = 0.0
        with skip_zero_branches(self.candidate.network):
            for batch in self.get_iterator(dataset):
                total += float(self.validation_step(batch)["loss"]) * len(batch[0])
                x, observed = self.scaling_.fill_missing(self._input(batch[0]))
                self.squares_ += _sum_of_squares(self.scaling_.distances(x, self.scaling_.mean_like(x), observed))
        return total / len(dataset), self.validation_score()

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Reset everything from an earlier training, except the weights and the optimizer."""
        self.stop_ = self.interrupted_ = False
        self.n_epochs_before_ = len(self.history)
        self.start_average()
        if self.keep_best is not None:  # otherwise each call is one of many passes, and nothing is annealed
            n_rows = len(self.get_split_datasets(X, y)[0])
            self.progress_, self.n_steps_ = 0.0, max(1, self.max_epochs * n_batches(n_rows, self.batch_size))

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Count the step, and update the average of the weights."""
        if training and self.keep_best is not None:
            self.progress_ = min(1.0, self.progress_ + 1 / self.n_steps_)
        if training and self.average_ is not None:
            self.average_.count_step()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Stop if the previous epoch was the last or set ``stop_``, after all its callbacks have run.

        skorch only counts the epochs of this process, which may have resumed from a checkpoint.
        """
        over = len(self.history) - self.n_epochs_before_ >= self.max_epochs
        if self.stop_ or (over and self.keep_best is not None):
            raise StopTraining
        super().on_epoch_begin(net, **kwargs)

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> "AutoencoderNet":
        """Run skorch's loop, small steps on one thread, and note whether the user interrupted it."""
        n_weights = sum(parameter.numel() for parameter in self.module_.parameters())
        small = n_weights * self.batch_size < SMALL_STEP
        try:
            with one_thread() if small else nullcontext():
                return super().fit_loop(X, y, epochs, **kwargs)
        except KeyboardInterrupt as interrupt:
            self.interrupted_ = not _was_planned(interrupt)
            if self.interrupted_:
                self.processes.raise_on_interrupt()
            raise


def _sum_of_squares(distances: Tensor) -> float:
    return float(distances.square().sum(dtype=torch.float64))


def _was_planned(interrupt: KeyboardInterrupt) -> bool:
    """Return whether a rule ended training, ours or a skorch callback's, and not the user's Ctrl-C."""
    trace = interrupt.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(interrupt, StopTraining) or raised_in.startswith("skorch.callbacks")


@contextmanager
def unchanged_on_error(net: AutoencoderNet) -> Iterator[None]:
    """Restore the weights and buffers of a net, and restart its optimizer, if an error occurs in this context."""
    before = weights_of(net.module_)
    try:
        yield
    except BaseException:
        net.module_.load_state_dict(before)
        net.module_.eval()
        net.optimizer_.state.clear()
        raise


def train_one_pass(net: AutoencoderNet, rows: TrainingRows) -> float:
    """Train for one epoch and return its mean loss."""
    net.partial_fit(rows)
    net.module_.eval()
    if net.interrupted_:
        warnings.warn("partial_fit was interrupted before the end of its pass.", stacklevel=5)
    loss = float(net.history[-1].get("train_loss", np.nan))
    if not net.interrupted_:
        _check_divergence(net, loss)
    return loss


def _check_divergence(net: AutoencoderNet, loss: float) -> None:
    length = float(sum(torch.linalg.vector_norm(weight.detach()) for weight in net.module_.parameters()))
    if not (np.isfinite(loss) and length <= GREATEST_ENTRY):
        what = f"weights grew to a length of {length:.3g}" if np.isfinite(loss) else "loss stopped being finite"
        raise ValueError(
            f"The {what} with lr={net.lr:g}. Lower lr or weight_decay, or scale the data, for example with "
            "sklearn.preprocessing.StandardScaler."
        )


def warn_if_not_converged(net: AutoencoderNet, start: str | None) -> None:
    """Warn if the training of ``fit`` ended too early, or did not improve on what it should, if anything."""
    best = net.keep_best
    if best is None:
        return
    n_epochs = len(net.history) - net.n_epochs_before_
    if net.interrupted_:
        warnings.warn(
            f"Training was interrupted; the best weights so far, of epoch {best.epoch_}, are kept.", stacklevel=5
        )
    n_complete = sum("train_loss" in epoch for epoch in net.history)
    if start is not None and n_complete > 0 and best.epoch_ == 0:
        warnings.warn(
            f"Training for {n_complete} epoch{'s' if n_complete > 1 else ''} did not improve on {start}. Try, in this "
            f"order: {'; '.join(_remedies(net))}.",
            ConvergenceWarning,
            stacklevel=5,
        )
    if net.interrupted_:
        return
    ended_here = 0 < n_epochs == net.max_epochs and not net.stop_
    if ended_here and net.lr_schedule == "constant" and 10 * (n_epochs - best.epoch_) < n_epochs:
        warnings.warn(
            f"Training stopped at max_epochs={net.max_epochs} while it was still improving. Increase max_epochs, or "
            "use lr_schedule='linear', which lowers the learning rate to zero within max_epochs.",
            ConvergenceWarning,
            stacklevel=5,
        )


def _remedies(net: AutoencoderNet) -> Iterator[str]:
    """Yield what may help if no epoch improves on the initialization."""
    module, scores = net.module_, net.keep_best.validation_scores_  # type: ignore[union-attr]
    if module.is_linear:
        yield "hidden_layer_sizes, as without hidden layers no squared error is less than PCA's"
    yield f"a lower lr, such as {0.1 * net.lr:g}"
    if scores and scores[0] > NEARLY_ALL:
        yield f"fewer components, as the initialization already explains {scores[0]:.5g} of the variance"
    yield "more samples" + ("" if module.is_linear else ", or smaller hidden_layer_sizes, weight_decay or a corruption")
