"""Helpers of several test files: estimators that fit quickly, small networks and nets, running documents."""

import hashlib
import runpy
from itertools import combinations
from math import inf
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._checkpoints.format import DIGEST_BYTES, FORMAT, MAGIC, VERSION_BYTES
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import optimizer_settings
from sklearn_ae.base import member
from sklearn_ae.codes import CODES
from sklearn_ae.losses import SquaredError
from sklearn_ae.networks import DenseAutoencoder

#: Blocks of pages run by the same rules in the tests and when the site is built.
BLOCKS = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "_ext" / "blocks.py"))
python_blocks, run_blocks = BLOCKS["python_blocks"], BLOCKS["run_blocks"]


#: Folders that the build of the site makes.
BUILT = {"_build", "auto_examples", "backreferences", "generated"}


def written(folder: Path, *ends: str) -> list[Path]:
    """Return the files below a folder with these endings, without those that the build of the site makes."""
    paths = [path for end in ends for path in folder.rglob(f"*.{end}")]
    return sorted(path for path in paths if not BUILT & set(path.relative_to(folder).parts))


def quick(n_components=2, **params) -> AutoencoderTransformer:
    """Return an estimator that fits quickly."""
    return AutoencoderTransformer(n_components, **{"max_epochs": 3, "random_state": 0, **params})


def random_network(code="identity", **changes) -> Autoencoder:
    """Return a network of four features, a hidden layer of five and two components, with weights from a fixed seed."""
    made_of = {"code": member(code, CODES), "loss": SquaredError(), "output_activation": "identity"}
    plain = Architecture(4, 2, (5,), "silu", **made_of, code_dropout=0.0, rotation_invariant=True)
    module, generator = build(plain._replace(**changes)), Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return module


def net_of(module: Autoencoder, **settings) -> AutoencoderNet:
    """Return an initialized net that trains a module, by default at one rate, without a split, in batches of eight."""
    defaults = {"criterion": SquaredError(), "lr": 0.01, "batch_size": 8, "max_epochs": 3, "seed": 7}
    defaults |= {"train_split": None, "predict_nonlinearity": None, "verbose": 0}
    if "optimizer" not in settings:
        defaults |= optimizer_settings("adamw", 0.0) | {"fan_in": inf}
    return AutoencoderNet(module, **defaults | settings).initialize()


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two sets of weights are equal in all bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def pairs(case: tuple[str, ...]) -> set[frozenset]:
    """Return the pairs of entries of a case, each a position and a name."""
    return {frozenset(two) for two in combinations(enumerate(case), 2)}


def covering(cases: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return cases that hold all the pairs that the given ones hold: greedily, the one with most new pairs first."""
    pairs_of = {case: pairs(case) for case in cases}
    missing, chosen = set().union(*pairs_of.values()), []
    while missing:
        chosen.append(max(cases, key=lambda case: len(pairs_of[case] & missing)))
        missing -= pairs_of[chosen[-1]]
    return chosen


def reseal(content, version=FORMAT, payload=None) -> bytes:
    """Return a checkpoint with another format number or payload and the digest that matches it."""
    head = version.to_bytes(VERSION_BYTES, "big")
    payload = content[len(MAGIC) + VERSION_BYTES + DIGEST_BYTES :] if payload is None else payload
    return MAGIC + head + hashlib.sha256(head + payload).digest() + payload


class Doubling(DenseAutoencoder):
    """A network whose halves are not the sums of AffineNetwork."""

    def decode(self, h):
        return super().decode(2 * h)
