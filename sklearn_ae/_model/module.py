"""The torch module for training and inference: a network with code, output activation and code map."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import RLock
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sklearn_ae._model.code_maps import CodeMap, PermutationMap, RotationMap, ScaleMap, WhitenedMap
from sklearn_ae.base import Step
from sklearn_ae.codes import Code
from sklearn_ae.losses import Loss
from sklearn_ae.networks import ACTIVATIONS, AffineNetwork, DenseAutoencoder, halves_are_sums
from sklearn_ae.outputs import Output

__all__ = ["Architecture", "Autoencoder", "build", "global_generator_seeded", "prefixes"]

#: Held while the state of torch's global generator, which all threads share, is not the user's.
GLOBAL_GENERATOR = RLock()


@contextmanager
def global_generator_seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators, of the CPU and of a GPU, and restore them afterwards."""
    gpus = [] if device is None or device.type != "cuda" else [device.index or 0]
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=gpus):
        # torch.manual_seed would seed all GPUs, and queue each call for ever if none is initialized yet
        for generator in (torch.default_generator, *(torch.cuda.default_generators[gpu] for gpu in gpus)):
            generator.manual_seed(seed)
        yield


def dropped(h: Tensor, rate: float, generator: Generator) -> Tensor:
    """Return h with entries zeroed at the given rate, and the others scaled up to keep the mean."""
    keep = torch.empty_like(h).bernoulli_(1 - rate, generator=generator)
    return h * keep.div_(1 - rate)


def prefixes(h: Tensor, generator: Generator) -> Tensor:
    """Return h with all but the first components of each sample set to zero.

    The number that is kept, from 1 to all, is uniformly distributed, and stratified over samples for less noise.
    """
    n_samples, n_components = h.shape
    order = torch.randperm(n_samples, generator=generator, device=h.device)
    fraction = (order + torch.rand(1, generator=generator, device=h.device)) / n_samples  # (n,), in [0, 1]
    return h * (torch.arange(n_components, device=h.device) <= (fraction * n_components)[:, None])


class Autoencoder(nn.Module):
    """A network between data and latent code, with the code, the output activation and the code map.

    ``forward`` and ``step`` use the network's own order and axes of the code; ``encode`` and ``decode`` the canonical
    ones. All work in the network's coordinates.

    Parameters
    ----------
    network : torch.nn.Module
        With ``encode`` from data (n, n_features) to the pre-activation, and ``decode`` from the code to the output
        before its activation.
    n_features, n_components : int
        Widths of data and code, d and k in the comments.
    code : Code
        Maps the pre-activation to the code.
    output : Output
        The output activation.
    code_map : CodeMap
        Maps the network's code to the canonical one.
    code_dropout : float
        Dropout rate on the code in training.
    ordered : bool
        Whether training reconstructs from random prefixes of the code (nested dropout).
    """

    def __init__(
        self,
        network: Any,
        n_features: int,
        n_components: int,
        code: Code,
        output: Output,
        code_map: CodeMap,
        code_dropout: float = 0.0,
        ordered: bool = False,
    ):
        super().__init__()
        self.network = network
        self.n_features = n_features
        self.n_components = self.code_width = n_components  # of the code, and of the network, which may have more
        self.code = code
        self.output = output
        self.code_map = code_map
        self.code_dropout = code_dropout
        self.ordered = ordered
        #: Whether training draws from torch's global generator.
        self.uses_global_generator = False
        self.noisy = bool(code_dropout) or ordered or not code.deterministic
        self.has_affine_path = isinstance(network, AffineNetwork)
        #: Whether the decoder's matrix is part of the encoder's.
        self.has_tied_weights = self.has_affine_path and network.decoder_parameter is None
        sums = halves_are_sums(network)
        #: Whether the decoder is W h + b, before the output activation.
        self.has_affine_decoder = sums and network.decoder_hidden is None
        #: Whether both halves are affine, before the output activation, so that no squared error is less than PCA's.
        self.is_linear = self.has_affine_decoder and network.encoder_hidden is None and code.linear
        self._has_closed_encoder = sums and network.encoder_hidden is None and code.elementwise

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.network.parameters()).device

    @property
    def encoder_matrix(self) -> Tensor | None:
        """A (k, d) if the code is an elementwise function of A x + a, otherwise None."""
        if not self._has_closed_encoder:
            return None
        weight = self.network.encoder_affine.weight
        return weight if len(weight) == self.n_components else weight[: self.n_components]

    @property
    def decoder_matrix(self) -> Tensor | None:
        """W (d, k), the affine part of the decoder, if any."""
        if not self.has_affine_path:
            return None
        weight = self.network.decoder_weight
        return weight if weight.shape[1] == self.n_components else weight[:, : self.n_components]

    def keep_(self, n_components: int) -> None:
        """Reduce an ordered code, in place, to its first components; the others are zero for the network."""
        self.n_components, self.code_map = n_components, self.code_map.truncated(n_components)

    def code_of(self, a: Tensor) -> Tensor:
        """Return the code of a pre-activation, without noise."""
        return self.code(a)[..., : self.n_components]

    def preactivation(self, x: Tensor) -> Tensor:
        """Return the encoder's output (n, m), in the precision of x even if products use mixed precision."""
        return self.network.encode(x).to(x.dtype)

    def network_code(self, x: Tensor) -> Tensor:
        """Return the code in the network's own order and axes, without noise."""
        return self.code_of_input(self.output.encoder_input(x))

    def code_of_input(self, received: Tensor) -> Tensor:
        """Return the same code for what the encoder receives of the samples."""
        return self.code_of(self.preactivation(received))

    def linear_output(self, h: Tensor) -> Tensor:
        """Return the decoder's output before the output activation, for the network's code or a prefix of it."""
        units = F.pad(h, (0, self.code_width - h.shape[-1])) if h.shape[-1] < self.code_width else h
        return self.network.decode(units).to(h.dtype)  # from mixed precision

    def step(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        progress: float = 1.0,
        generator: Generator | None = None,
        drop: bool = True,
        observed: Tensor | None = None,
    ) -> Step:
        """Return all quantities of a training step that building blocks may use.

        With a `generator`, noise is drawn and, unless ``drop=False``, dropout or nested dropout is applied. The target
        of an entry that is not observed is the output, which has no gradient there.
        """
        received, target = self.output.encoder_input(x), x if target is None else target
        a = self.preactivation(received)
        if generator is None:
            h = decoded = self.code_of(a)
        else:
            h = self.code.in_training(a, progress, generator)[:, : self.n_components]
            h = dropped(h, self.code_dropout, generator) if self.code_dropout and drop else h
            decoded = prefixes(h, generator) if self.ordered and drop else h
        u = self.linear_output(decoded)
        output = self.output.reconstruct(u, target, observed)
        return Step(
            target=target if observed is None else torch.where(observed, target, output.detach()),
            input=received,
            preactivation=a,
            code=h,
            linear_output=u,
            output=output,
            encode=self.code_of_input,
            decode=self.linear_output,
            activate=self.code_of,
            encoder_matrix=self.encoder_matrix,
            decoder_matrix=self.decoder_matrix,
            progress=progress,
            generator=generator,
            observed=observed,
        )

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the reconstruction of x, of the same shape, without noise."""
        return self.output.reconstruct(self.linear_output(self.network_code(x)), x, observed)

    def encode(self, x: Tensor) -> Tensor:
        """Return the canonical code of x (n, n_features), of shape (n, n_components)."""
        return self.code_map(self.network_code(x))

    def decode(self, h: Tensor, x: Tensor | None = None, observed: Tensor | None = None) -> Tensor:
        """Return the output for a canonical code h (n, n_components), of shape (n, n_features); of x if it is given."""
        u = self.linear_output(self.code_map.undo(h))
        return self.output(u) if x is None else self.output.reconstruct(u, x, observed)


class Architecture(NamedTuple):
    """All that determines a module except its weights."""

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str | type[nn.Module]
    code: Code
    loss: Loss
    output_activation: str
    code_dropout: float
    rotation_invariant: bool
    ordered: bool = False
    n_kept: int | None = None  # components of an ordered code that are kept, if not all
    whiten: bool = False  # whether components of the canonical code have variance 1
    module: Any = None  # a custom network: an instance, or a callable that returns one

    @property
    def untruncated(self) -> "Architecture":
        """The architecture with all components that were trained."""
        return self._replace(n_kept=None)

    def make_output(self) -> Output:
        """Return a new output activation."""
        return self.loss.output(self.output_activation, self.n_features)


def build(architecture: Architecture, seed: int = 0) -> Autoencoder:
    """Return a module in float32 with weights of zero, or with those of a custom network."""
    a = architecture
    module = Autoencoder(
        custom_network(a, seed) if a.module is not None else dense_network(a),
        a.n_features,
        a.n_components,
        code=a.code,
        output=a.make_output(),
        code_map=code_map_of(a),
        code_dropout=a.code_dropout,
        ordered=a.ordered,
    ).float()
    if a.module is not None or isinstance(a.activation, type):
        module.uses_global_generator = uses_global_generator(module.network, a)
    if a.n_kept is not None:
        module.keep_(a.n_kept)
    return module


def code_map_of(a: Architecture) -> CodeMap:
    """Return a map that fixes what training leaves undetermined: axes, order, length and signs, or nothing.

    With `whiten` it also fixes the variance of the components.
    """
    inner: CodeMap
    if a.ordered:
        inner = ScaleMap(a.n_components) if a.code.linear else CodeMap()
    else:
        inner = RotationMap(a.n_components) if a.rotation_invariant else PermutationMap(a.n_components)
    return WhitenedMap(inner, a.n_components) if a.whiten else inner


def dense_network(a: Architecture) -> AffineNetwork:
    """Return a network of this package that is not initialized."""
    sizes = a.n_features, a.n_components, a.code.n_preactivations(a.n_components)
    activation = ACTIVATIONS[a.activation] if isinstance(a.activation, str) else a.activation
    try:
        activation()
    except TypeError as error:
        raise ValueError(f"activation={a.activation!r} must be callable without arguments: {error}.") from error
    return DenseAutoencoder(*sizes, a.hidden_layer_sizes, activation)


def custom_network(a: Architecture, seed: int) -> Any:
    """Return a copy of a custom network, or make one from a class with the sizes that its signature names.

    Layers of a class draw their weights from torch's global generator, which is seeded meanwhile and then restored.
    """
    network: Any = deepcopy(a.module if isinstance(a.module, nn.Module) else _call_factory(a, seed))
    halves = (getattr(network, "encode", None), getattr(network, "decode", None))
    if not (isinstance(network, nn.Module) and all(callable(half) for half in halves)):
        raise ValueError(
            f"module={a.module!r} must be a torch.nn.Module with encode and decode methods, or return one."
        )
    network = network.cpu().float().eval()
    m = a.code.n_preactivations(a.n_components)
    for call, n_in, n_out in (("encode", a.n_features, m), ("decode", a.n_components, a.n_features)):
        _check_half(a, call, getattr(network, call), n_in, n_out)
    return network


def _check_half(a: Architecture, call: str, half: Callable[[Tensor], Any], n_in: int, n_out: int) -> None:
    """Raise a ValueError if encoder or decoder of a custom network has other numbers of columns."""
    cause = None
    try:
        with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]), torch.no_grad():
            shape = tuple(half(torch.zeros(2, n_in, dtype=torch.float32)).shape)
        found = f"returned shape {shape}"
    except Exception as error:
        shape, found, cause = None, f"raised {error!r}", error
    if shape != (2, n_out):
        raise ValueError(
            f"{call} of module={a.module!r} must return {n_out} columns for n_features={a.n_features}, "
            f"n_components={a.n_components} and code={a.code!r}, but {found} for two samples."
        ) from cause


def _call_factory(a: Architecture, seed: int) -> nn.Module:
    known: dict[str, Callable[[], int]] = {
        "n_features": lambda: a.n_features,
        "n_components": lambda: a.n_components,
        "n_preactivations": lambda: a.code.n_preactivations(a.n_components),
    }
    try:
        signature = inspect.signature(a.module)
    except ValueError as error:
        raise ValueError(f"module={a.module!r} has no signature that names its arguments: {error}.") from error
    arguments = {name: size() for name, size in known.items() if name in signature.parameters}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise TypeError(f"module={a.module!r} requires arguments other than {sorted(known)}: {error}.") from error
    with global_generator_seeded(seed):
        return a.module(**arguments)


def uses_global_generator(network: Any, a: Architecture) -> bool:
    """Return whether a network in training draws from torch's global generator, as ``torch.nn.Dropout`` does."""
    trial = deepcopy(network).train()
    with global_generator_seeded(0), torch.no_grad():
        before = torch.get_rng_state()
        try:
            trial.encode(torch.zeros(2, a.n_features, dtype=torch.float32))
            trial.decode(torch.zeros(2, a.n_components, dtype=torch.float32))
        except Exception:
            return True
        return not torch.equal(torch.get_rng_state(), before)
