"""Training in several processes: each computes its part of every batch, and all take the same step.

Accelerate reads the launcher's environment and opens the process group; all communication between processes happens in
this module.

skorch's ``AccelerateMixin`` is not used. It wraps the module in DistributedDataParallel, whose hooks only see
``forward``: our step calls ``module.step``, and penalties call halves of the network. DistributedDataParallel averages
over processes, not samples, so that a last batch that does not divide evenly would get a wrong weight, and a process
without samples would hang the others; and the mixin passes the data to a loader of Accelerate's, while ours comes in
batches. One sum of all gradients in one buffer after the backward pass avoids all of this, and is as fast for networks
whose gradients fit one or two of DistributedDataParallel's buckets of 25 MB, which most autoencoders' do.
"""

import atexit
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist
from torch import Generator, Tensor

from sklearn_ae._model.module import Autoencoder

__all__ = ["ProcessGroup", "Processes", "SingleProcess", "processes_for"]


class Processes(Protocol):
    """The operations on all processes that train together."""

    is_first: bool

    def broadcast_object(self, value: Any) -> Any:
        """Return the value of the first process."""

    def check_same(self, settings: dict[str, Any]) -> None:
        """Raise a ValueError in every process, which names the setting, if one differs between processes."""

    def broadcast_weights(self, module: Autoencoder) -> None:
        """Copy the weights and buffers of the first process to all others."""

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """Return this process's samples of a batch, and the fraction of the batch that they are.

        A process without samples gets the first one, with a fraction of 0.
        """

    def average_gradients(self, module: Autoencoder, loss: Tensor, share: float) -> Tensor:
        """Average gradients over processes and return the batch loss."""

    def reduce(self, share: float, mean: Tensor, *sums: float) -> tuple[Any, ...]:
        """Return a mean and sums over the whole batch, from those over the samples of each process."""

    def seed(self, seed: int) -> int:
        """Return the seed of this process's own noise."""

    def noise(self, generator: Generator, seed: int) -> Generator:
        """Return the generator of this process's own noise, given the one that orders samples in all processes."""

    def raise_on_interrupt(self) -> None:
        """Raise an error if an interrupted process cannot continue with its state."""


class SingleProcess(Processes):
    """The only process of an ordinary fit: all samples are its own, and there is nothing to exchange."""

    is_first = True

    def broadcast_object(self, value: Any) -> Any:
        return value

    def check_same(self, settings: dict[str, Any]) -> None:
        pass

    def broadcast_weights(self, module: Autoencoder) -> None:
        pass

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        return batch, 1.0

    def average_gradients(self, module: Autoencoder, loss: Tensor, share: float) -> Tensor:
        return loss

    def reduce(self, share: float, mean: Tensor, *sums: float) -> tuple[Any, ...]:
        return mean, *sums

    def seed(self, seed: int) -> int:
        return seed

    def noise(self, generator: Generator, seed: int) -> Generator:
        return generator

    def raise_on_interrupt(self) -> None:
        pass


class ProcessGroup(Processes):
    """One of several processes that train together, over torch's process group.

    It holds no handle of the group, so that its owner can be pickled.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    """

    def __init__(self, rank: int, size: int):
        self.rank = rank
        self.size = size
        self.is_first = rank == 0

    def broadcast_object(self, value: Any) -> Any:
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return value if self.is_first else box[0]

    def check_same(self, settings: dict[str, Any]) -> None:
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, settings)
        for name, first in found[0].items():
            others = [rank for rank in range(1, self.size) if found[rank].get(name) != first]
            if others:
                shown = "" if isinstance(first, bytes) else f" ({found[others[0]].get(name)!r} and {first!r})"
                raise ValueError(
                    f"With distributed=True every process must call fit with the same X and parameters, but {name} "
                    f"differs between process {others[0]} and process 0{shown}. Give all of them the same samples in "
                    "the same order: fit divides each batch itself."
                )

    def broadcast_weights(self, module: Autoencoder) -> None:
        for value in module.state_dict().values():
            dist.broadcast(value, src=0)

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        own = batch.tensor_split(self.size)[self.rank]
        return (own if len(own) else batch[:1]), len(own) / len(batch)

    def average_gradients(self, module: Autoencoder, loss: Tensor, share: float) -> Tensor:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([loss.detach().reshape(1), *(gradient.reshape(-1) for gradient in gradients)]).mul_(share)
        dist.all_reduce(flat)
        total, *parts = flat.split([1, *(gradient.numel() for gradient in gradients)])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        for buffer in module.network.buffers():  # running statistics of a custom network
            dist.broadcast(buffer, src=0)
        return total[0]

    def reduce(self, share: float, mean: Tensor, *sums: float) -> tuple[Any, ...]:
        parts = [float(mean) * share, *(part if share else 0.0 for part in sums)]
        totals = torch.tensor(parts, dtype=torch.float64, device=mean.device)
        dist.all_reduce(totals)
        return totals[0], *totals[1:].tolist()

    def seed(self, seed: int) -> int:
        return int(np.random.SeedSequence((seed, self.rank)).generate_state(1)[0])

    def noise(self, generator: Generator, seed: int) -> Generator:
        return Generator(generator.device).manual_seed(self.seed(seed))

    def raise_on_interrupt(self) -> None:
        raise RuntimeError(
            "Training in several processes was interrupted: they would continue with different weights. Fit again, or "
            "set max_epochs or callbacks to end sooner."
        )


def processes_for(distributed: bool, device: torch.device) -> Processes:
    """Return this process as one of those that the launcher started, or as a single one.

    Raises
    ------
    ImportError
        If Accelerate is needed and missing.
    """
    if not distributed:
        return SingleProcess()
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            "distributed=True needs Hugging Face Accelerate: install it, for example with "
            "pip install 'sklearn-ae[distributed]', or set distributed=False."
        ) from error
    was_open = dist.is_initialized()
    state = PartialState(cpu=device.type == "cpu")
    if state.num_processes == 1:
        return SingleProcess()
    if not was_open:  # at the end of the interpreter, gloo's threads may abort the process
        atexit.register(state.destroy_process_group)
    return ProcessGroup(state.process_index, state.num_processes)
