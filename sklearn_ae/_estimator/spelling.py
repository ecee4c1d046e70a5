"""Hints for near misses: names of other libraries, other spellings, a class in place of an instance and the reverse."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import torch

from sklearn_ae.base import Member

__all__ = ["hint"]

#: Names that other libraries use, by parameter; case and punctuation do not matter.
NAMES_ELSEWHERE: dict[str, dict[str, str]] = {
    "activation": {"linear": "identity", "logistic": "sigmoid", "swish": "silu"},
    "code": {"beta_vae": "gaussian", "linear": "identity", "sparse": "top_k", "vae": "gaussian"},
    "corruption": {"dropout": "masking", "gaussian": "gaussian_noise", "noise": "gaussian_noise", "zero": "masking"},
    "init": {"he": "random", "kaiming": "random"},
    "loss": {
        "bce": "log_loss",
        "binary_cross_entropy": "log_loss",
        "categorical_cross_entropy": "cross_entropy",
        "l1": "absolute_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "mean_absolute_error": "absolute_error",
        "mean_squared_error": "squared_error",
        "mse": "squared_error",
        "smooth_l1": "huber",
    },
    "lr_schedule": {"cosine_annealing": "cosine", "invscaling": "linear", "none": "constant"},
    "missing": {"impute": "mask", "nan": "mask", "raise": "error"},
    "penalty": {"kl": "kl_sparsity", "sparse": "l1"},
    "precision": {"bf16": "bfloat16", "fp32": "float32", "single": "float32"},
}
#: What to do instead, by parameter and value.
OTHER_WAYS: dict[tuple[str, Any], str] = {
    ("penalty", "l2"): "for a penalty on the weights set weight_decay",
    ("validation_fraction", 0): "to train on all samples set early_stopping=False",
    ("lr", 0): "to keep the initialization set max_epochs=0",
}


def hint(parameter: str, value: Any, options: Iterable[str]) -> str:
    """Return what to pass in place of an invalid value of a parameter, or "" if it is not a near miss."""
    if isinstance(value, type) and issubclass(value, Member):
        return f"pass an instance, such as {value.__name__}()"
    if parameter in ("activation", "optimizer") and isinstance(value, (torch.nn.Module, torch.optim.Optimizer)):
        return f"pass the class, {type(value).__name__}, without arguments"
    if isinstance(value, (str, int, float)) and (parameter, value) in OTHER_WAYS:
        return OTHER_WAYS[parameter, value]
    meant = _meant(value, NAMES_ELSEWHERE.get(parameter, {}), sorted(options)) if isinstance(value, str) else None
    return f"did you mean {meant!r}?" if meant else ""


def _meant(value: str, elsewhere: dict[str, str], options: list[str]) -> str | None:
    """Return the option that a string stands for, if any."""
    by_plain = {_plain(name): name for name in options} | {_plain(name): known for name, known in elsewhere.items()}
    close = get_close_matches(_plain(value), by_plain, n=1, cutoff=0.8)
    return by_plain[close[0]] if close else None


def _plain(name: str) -> str:
    """Return a name in lower case, without punctuation."""
    return "".join(filter(str.isalnum, name.lower()))
