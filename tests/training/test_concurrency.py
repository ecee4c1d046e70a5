"""Threads and processes give the same bits as a serial run, and no worker hangs.

Test processes have one thread, so that a fork from them would prove little: tests of forks start a process with two.
"""

import ast
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import quick
from joblib import parallel_config
from process_script import WAYS
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._utils import threads

ROOT = Path(__file__).resolve().parents[2]
N_THREADS = 16


class Drawing(nn.Module):
    """A custom network, whose layers draw their weights from torch's global generator."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, n_components))
        self.linear = nn.Linear(n_components, n_features)

    def decode(self, h):
        return self.linear(h)


class Dropping(Drawing):
    """A custom network that draws from torch's global generator in training."""

    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components)
        self.encode.insert(0, nn.Dropout(0.2))


class Noisy(Drawing):
    """A custom network without a layer for its noise."""

    def decode(self, h):
        return super().decode(h + 0.1 * torch.randn_like(h) if self.training else h)


def in_threads(function, arguments) -> list:
    with ThreadPoolExecutor(N_THREADS) as threads:
        return list(threads.map(function, arguments))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms_in_threads_equal_serial_ones(dtype, digits):
    model = quick(8, code="relu").fit(digits)
    parts = np.array_split(digits.astype(dtype), 4 * N_THREADS)

    def everything(X) -> list:
        codes = model.transform(X)
        return [codes, model.inverse_transform(codes), model.score_samples(X)]

    for serial, made in zip(map(everything, parts), in_threads(everything, parts), strict=True):
        for one, other in zip(serial, made, strict=True):
            np.testing.assert_array_equal(one, other)


SETTINGS = [
    {},
    {"code": "gaussian"},
    {"code_dropout": 0.3, "corruption": 0.2},
    {"ordered": True},
    {"module": Drawing},
    {"module": Dropping},
    {"module": Noisy},
    {"activation": nn.RReLU},
    {"penalty": "contractive", "code": "sigmoid"},
]


@pytest.mark.parametrize(
    "settings", [{"module": Dropping}, {"module": Noisy}, {"activation": nn.RReLU, "init": "random"}]
)
def test_layers_that_draw_in_training_draw_by_the_seed(settings, small):
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        model = quick(**settings).fit(small)
        copies = model, pickle.loads(pickle.dumps(model))
        results.append([each.partial_fit(small).transform(small) for each in copies])
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(results[0][0], quick(**settings | {"random_state": 1}).fit_transform(small))


def test_fits_in_threads_equal_serial_ones(digits):
    """Each fit has its own generators; the state of torch's global one does not change."""
    models = [quick(4, random_state=seed, **settings) for seed in range(4) for settings in SETTINGS]
    before = torch.get_rng_state()

    def codes(model) -> np.ndarray:
        return clone(model).fit(digits[:300]).transform(digits)

    for serial, made in zip([codes(model) for model in models], in_threads(codes, models), strict=True):
        np.testing.assert_array_equal(serial, made)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_estimator_transforms_while_another_fits(digits):
    model = quick(8).fit(digits)
    serial = model.transform(digits)

    def work(i: int) -> np.ndarray:
        if i % 2:
            quick(4, random_state=i).fit(digits[:300])
        return model.transform(digits)

    for made in in_threads(work, range(2 * N_THREADS)):
        np.testing.assert_array_equal(made, serial)


def test_a_search_in_threads_gives_the_scores_of_a_serial_one(digits):
    search = GridSearchCV(quick(), {"n_components": [2, 4], "code": ["identity", "relu"]}, cv=2)
    with parallel_config(backend="threading"):
        scores = [
            clone(search).set_params(n_jobs=n_jobs).fit(digits[:200]).cv_results_["mean_test_score"]
            for n_jobs in (1, N_THREADS)
        ]
    np.testing.assert_array_equal(*scores)


def run_processes(way: str, n_rows: int, **variables: str) -> tuple[list[str], list[str]]:
    """Return the digests of a serial run and of the workers."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    inherited = {name: value for name, value in os.environ.items() if name != "MKL_NUM_THREADS"}
    environment = inherited | {"PYTHONPATH": path, "OMP_NUM_THREADS": "2"} | variables
    command = [sys.executable, str(ROOT / "tests" / "process_script.py"), way, str(n_rows)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    serial, made = (line.split() for line in done.stdout.splitlines())
    assert len(made) == 2, done.stderr
    return serial, made


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


@needs_fork
@pytest.mark.parametrize("variables", [{}, {"MKL_NUM_THREADS": "2"}], ids=["plain", "MKL"])
def test_a_forked_process_gives_the_results_of_a_serial_run(variables):
    """It would hang with more threads: OpenMP's do not survive a fork, and MKL obeys its own variable."""
    serial, made = run_processes("os.fork", 300, **variables)
    assert made == serial


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [1500, 60_000])
@pytest.mark.parametrize("way", WAYS)
def test_processes_give_the_results_of_a_serial_run(way, n_rows):
    serial, made = run_processes(way, n_rows)
    assert made == serial


def test_the_package_never_sets_the_number_of_torchs_threads():
    named = {"set_num_threads", "set_num_interop_threads"}
    for file in (ROOT / "sklearn_ae").rglob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        assert not named & {node.attr for node in nodes if isinstance(node, ast.Attribute)}, file.name


def test_a_process_that_is_not_a_fork_keeps_its_threads(monkeypatch):
    """The limit applies to forks only and ends with the call."""
    seen = []
    for forked in (False, True):
        monkeypatch.setattr(threads, "_forked", forked)
        monkeypatch.setattr(threads, "one_thread", lambda: seen.append("limited") or nullcontext())
        AutoencoderTransformer(1, max_epochs=0).fit(np.eye(4)).transform(np.eye(4))
        assert len(seen) == (2 if forked else 0)
