"""Save the state of training to a checkpoint, and restore it."""

from numbers import Real
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_ae._checkpoints.checkpoint import Checkpoint
from sklearn_ae._checkpoints.format import CheckpointState
from sklearn_ae._model.weights import tensors_of

__all__ = ["WriteCheckpoint", "restore_training_state", "training_state"]


class WriteCheckpoint(Callback):
    """Callback that writes a checkpoint before the first epoch and after each one, or resumes from one.

    It must come after all other callbacks.
    """

    def __init__(self, checkpoint: Checkpoint | None):
        self.checkpoint = checkpoint

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the saved state, or write the first checkpoint."""
        if self.checkpoint is None:
            return
        if self.checkpoint.saved is None:
            self.on_epoch_end(net)
        else:
            restore_training_state(net, self.checkpoint.saved)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write a checkpoint; if that fails, end training."""
        if self.checkpoint is not None:
            self.checkpoint.write(training_state(net))
            net.stop_ |= self.checkpoint.failure is not None

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Forget the file, which a net that is trained further does not overwrite."""
        self.checkpoint = None


#: Attributes of the callback that keeps the best weights.
BEST_STATE = ("objective_", "epoch_", "reference_", "n_epochs_without_", "lowered_")


def training_state(net: Any) -> CheckpointState:
    """Return the state of a net that keeps the best weights, at the end of an epoch."""
    best, average = net.keep_best, net.average_
    arrays = _arrays("module", tensors_of(net.module_)) | _arrays("best", best.weights_)
    arrays |= _arrays("noise", {"training": net.noise_.get_state(), "validation": net.validation_noise_.get_state()})
    plain: dict[str, Any] = {
        "device": net.noise_.device.type,
        "progress": net.progress_,
        "stop": net.stop_,
        "choice": {name: getattr(best, name) for name in BEST_STATE},
        "validation_scores": best.validation_scores_,
        "annealed": None,
        "average": None,
        "history": [_numbers_of(epoch) for epoch in net.history],
    }
    if best.annealed_ is not None:
        plain["annealed"] = best.annealed_[0]
        arrays |= _arrays("annealed", best.annealed_[1])
    if average is not None:
        plain["average"] = [average.n_steps, average.n_steps_taken]
        arrays |= _arrays("average", tensors_of(average.module))
    state = net.optimizer_.state_dict()
    plain["optimizer"] = {
        str(index): {name: _pack(value, f"optimizer/{index}/{name}", arrays) for name, value in values.items()}
        for index, values in state["state"].items()
    }
    plain["groups"] = [
        {
            name: _pack(value, f"groups/{i}/{name}", arrays)
            for name, value in group.items()
            if isinstance(value, (Real, Tensor))
        }
        for i, group in enumerate(state["param_groups"])
    ]
    return CheckpointState(plain, arrays)


def restore_training_state(net: Any, state: CheckpointState) -> None:
    """Restore a saved state into a net that is about to train. Raises ValueError if it does not match."""
    device = net.noise_.device.type
    if state.plain["device"] != device:
        raise ValueError(
            f"The checkpoint was written in training on device {state.plain['device']!r}; its random state cannot be "
            f"restored on {device!r}: set device={state.plain['device']!r}, or start from scratch with another path."
        )
    try:
        with torch.no_grad():
            _restore(net, state.plain, state.arrays)
    except Exception as error:  # of any kind, as torch and optimizers raise it
        raise ValueError(
            f"The checkpoint does not fit the network ({type(error).__name__}: {error}). Delete it to start "
            "from scratch."
        ) from error


def _restore(net: Any, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    best = net.keep_best
    _fill(tensors_of(net.module_), "module", arrays)
    _fill(best.weights_, "best", arrays)
    for name in BEST_STATE:
        setattr(best, name, plain["choice"][name])
    best.validation_scores_ = plain["validation_scores"]
    if plain["annealed"] is not None:
        weights = {name: torch.empty_like(value) for name, value in best.weights_.items()}
        _fill(weights, "annealed", arrays)
        best.annealed_ = plain["annealed"], weights
    if net.average_ is not None:
        net.average_.n_steps, net.average_.n_steps_taken = plain["average"]
        _fill(tensors_of(net.average_.module), "average", arrays)
    net.progress_, net.stop_ = plain["progress"], plain["stop"]
    net.history.extend({**epoch, "batches": []} for epoch in plain["history"])
    _restore_best_scores(net)
    state = net.optimizer_.state_dict()
    groups = zip(state["param_groups"], plain["groups"], strict=True)
    state["param_groups"] = [now | {name: _unpack(v, arrays) for name, v in then.items()} for now, then in groups]
    state["state"] = {
        int(index): {name: _unpack(value, arrays) for name, value in values.items()}
        for index, values in plain["optimizer"].items()
    }
    net.optimizer_.load_state_dict(state)
    _keep_precision(net.optimizer_, state["state"])
    net.noise_.set_state(torch.from_numpy(arrays["noise/training"]))
    net.validation_noise_.set_state(torch.from_numpy(arrays["noise/validation"]))


def _keep_precision(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
    """Restore the values that loading has rounded to the precision of the weights."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, values in state.items():
        loaded = optimizer.state[params[index]]
        for name, value in values.items():
            if isinstance(value, Tensor) and loaded[name].dtype != value.dtype:
                loaded[name] = value.to(loaded[name].device)


def _restore_best_scores(net: Any) -> None:
    """Restore the best score so far of the callbacks that mark the best epochs in the history."""
    for _, callback in net.callbacks_:
        if hasattr(callback, "best_score_"):
            bests = [epoch[callback.name] for epoch in net.history if epoch.get(f"{callback.name}_best")]
            callback.best_score_ = bests[-1] if bests else callback.best_score_


def _arrays(group: str, tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {f"{group}/{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _fill(tensors: dict[str, Tensor], group: str, arrays: dict[str, np.ndarray]) -> None:
    """Copy the arrays of a group into tensors. Raises ValueError if their shapes or dtypes differ."""
    for name, tensor in tensors.items():
        value = torch.from_numpy(arrays[f"{group}/{name}"])
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise ValueError(
                f"{name} is {tuple(value.shape)}, {value.dtype} and should be {tuple(tensor.shape)}, {tensor.dtype}"
            )
        tensor.copy_(value)


def _numbers_of(epoch: dict[str, Any]) -> dict[str, Any]:
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in epoch.items()}
    return {name: value for name, value in values.items() if isinstance(value, Real)}


def _pack(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return a value of an optimizer with names in place of its tensors, which are added to the arrays."""
    if isinstance(value, Tensor):
        arrays[name] = value.detach().cpu().numpy()
        return {"array": name}
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if value is not None and not isinstance(value, Real):
        raise ValueError(
            f"The optimizer's state has a {type(value).__name__} ({name}), which a checkpoint cannot store: "
            "set checkpoint=None or choose another optimizer."
        )
    return value


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        return torch.from_numpy(arrays[value["array"]])
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    return value
