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

__all__ = ["WriteCheckpoint", "restore_", "state_of"]


class WriteCheckpoint(Callback):
    """Writes a checkpoint at the start and after each epoch, or goes on from one; to come after all other callbacks."""

    def __init__(self, checkpoint: Checkpoint | None):
        self.checkpoint = checkpoint

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Go on from what was saved, or claim the file."""
        if self.checkpoint is None:
            return
        if self.checkpoint.saved is None:
            self.checkpoint.begin(state_of(net))
            net.stop_ = self.checkpoint.failure is not None
        else:
            restore_(net, self.checkpoint.saved)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the file; where that fails, training ends."""
        if self.checkpoint is not None:
            self.checkpoint.write(state_of(net))
            net.stop_ |= self.checkpoint.failure is not None

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the file alone when the net is trained further."""
        self.checkpoint = None


#: Numbers of the choice of the best weights, with their types.
BEST_STATE = {"objective_": float, "epoch_": int, "reference_": float, "n_epochs_without_": int, "lowered_": bool}


def state_of(net: Any) -> CheckpointState:
    """Return the state of a net that keeps the best weights, at the end of an epoch."""
    best, average = net.keep_best, net.average_
    arrays = _arrays("module", tensors_of(net.module_)) | _arrays("best", best.weights_)
    arrays |= _arrays("noise", {"training": net.noise_.get_state(), "validation": net.validation_noise_.get_state()})
    plain: dict[str, Any] = {
        "device": net.noise_.device.type,
        "progress": net.progress_,
        "stop": net.stop_,
        "choice": {name: kind(getattr(best, name)) for name, kind in BEST_STATE.items()},
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


def restore_(net: Any, saved: CheckpointState) -> None:
    """Put a net that is about to train into a state; a ValueError where that is none of such a net."""
    device = net.noise_.device.type
    if saved.plain.get("device") != device:
        raise ValueError(
            f"The checkpoint was written in training on device {saved.plain.get('device')!r}, whose generators cannot "
            f"go on on {device!r}: set the device to that one, or start afresh with another path."
        )
    try:
        with torch.no_grad():
            _restore(net, saved.plain, saved.arrays)
    except Exception as error:  # whatever a wrong content makes torch raise
        raise ValueError(
            f"The checkpoint does not fit the network ({type(error).__name__}: {error}). Delete it to start afresh."
        ) from error


def _restore(net: Any, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    best = net.keep_best
    _fill(tensors_of(net.module_), "module", arrays)
    _fill(best.weights_, "best", arrays)
    for name, kind in BEST_STATE.items():
        setattr(best, name, kind(plain["choice"][name]))
    if best.validation_scores_ is not None:
        best.validation_scores_ = [float(score) for score in plain["validation_scores"]]
    if plain["annealed"] is not None:
        weights = {name: torch.empty_like(value) for name, value in best.weights_.items()}
        _fill(weights, "annealed", arrays)
        best.annealed_ = int(plain["annealed"]), weights
    if net.average_ is not None:
        net.average_.n_steps, net.average_.n_steps_taken = n_steps, n_taken = [int(n) for n in plain["average"]]
        if not 0 <= n_taken <= n_steps:
            raise ValueError(f"its average is of {n_taken} of {n_steps} steps")
        _fill(tensors_of(net.average_.module), "average", arrays)
    net.progress_, net.stop_ = float(plain["progress"]), bool(plain["stop"])
    net.history.extend({**_numbers_of(epoch), "batches": []} for epoch in plain["history"])
    _restore_best_scores(net)
    state = net.optimizer_.state_dict()
    groups = zip(state["param_groups"], plain["groups"], strict=True)
    if any(value is None for group in plain["groups"] for value in group.values()):
        raise ValueError("a setting of the optimizer is none")
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
    """Put back what loading has rounded to the precision of the weights."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, values in state.items():
        loaded = optimizer.state[params[index]]
        for name, value in values.items():
            if isinstance(value, Tensor) and loaded[name].dtype != value.dtype:
                loaded[name] = value.to(loaded[name].device)


def _restore_best_scores(net: Any) -> None:
    """Let the callbacks that mark the best epochs in the history know the best one so far."""
    for _, callback in net.callbacks_:
        if hasattr(callback, "best_score_"):
            bests = [epoch[callback.name] for epoch in net.history if epoch.get(f"{callback.name}_best")]
            callback.best_score_ = bests[-1] if bests else callback.best_score_


def _arrays(group: str, tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {f"{group}/{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _fill(tensors: dict[str, Tensor], group: str, arrays: dict[str, np.ndarray]) -> None:
    """Copy the arrays of a group into tensors."""
    for name, tensor in tensors.items():
        value = torch.from_numpy(arrays[f"{group}/{name}"])
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise ValueError(f"{name} is {tuple(value.shape)} and should be {tuple(tensor.shape)}")
        tensor.copy_(value)


def _numbers_of(epoch: dict[str, Any]) -> dict[str, Any]:
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in epoch.items()}
    return {name: value for name, value in values.items() if isinstance(value, Real)}


def _pack(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return a value of an optimizer with its tensors replaced by names, under which they join the arrays."""
    if isinstance(value, Tensor):
        arrays[name] = value.detach().cpu().numpy()
        return {"array": name}
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if value is not None and not isinstance(value, Real):
        raise ValueError(
            f"The optimizer's state has a {type(value).__name__} ({name}), which no checkpoint holds: set "
            "checkpoint=None or choose another optimizer."
        )
    return value


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        return torch.from_numpy(arrays[value["array"]])
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if value is not None and not isinstance(value, Real):
        raise ValueError(f"{value!r} is no number")
    return value
