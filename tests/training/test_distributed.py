"""Two processes with gloo, started by real launchers on this machine, give the same fit as one."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import distributed_fits
import numpy as np
import pytest
import torch
from distributed_fits import EXACT, PER_PROCESS, data, failing_fits, fitted, results

from sklearn_ae._training.processes import ProcessGroup, SingleProcess, processes_for

ROOT = Path(__file__).parents[2]
TORCHRUN = ["torch.distributed.run", "--nproc_per_node=2", "--master-addr=127.0.0.1", "--master-port={port}"]
# This mode of accelerate uses torchrun, also on CPUs; --cpu starts processes only through MPI.
ACCELERATE = [
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes=2",
    "--num_machines=1",
    "--mixed_precision=no",
]
ACCELERATE += ["--dynamo_backend=no", "--main_process_port={port}"]


def launched(launcher: list[str], folder: Path, *names: str) -> subprocess.CompletedProcess:
    """Run the fits in two processes of one thread each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [part.format(port=port) for part in launcher]
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command, distributed_fits.__file__, str(folder), *names],
        env={**os.environ, **one_thread, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the folder in which two processes of torchrun saved the results of all fits."""
    folder = tmp_path_factory.mktemp("torchrun")
    run = launched(TORCHRUN, folder)
    assert run.returncode == 0, run.stderr
    (folder / "stderr.txt").write_text(run.stderr)
    return folder


def assert_same_fit(got, expected):
    """Check that weights, attributes and codes are equal within 1e-5."""
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", EXACT)
def test_two_processes_give_the_fit_of_one(name, folder):
    assert_same_fit(np.load(folder / f"{name}-0.npz"), results(fitted(0, data(), **EXACT[name])))


@pytest.mark.parametrize("name", EXACT | PER_PROCESS)
def test_every_process_ends_with_the_same_bits(name, folder):
    first, second = (np.load(folder / f"{name}-{rank}.npz") for rank in range(2))
    assert set(first) == set(second)
    assert all(np.array_equal(first[key], second[key], equal_nan=True) for key in first)


@pytest.mark.parametrize("name", failing_fits(0))
def test_errors_are_raised_in_every_process(name, folder):
    messages = {(folder / f"{name}-{rank}.txt").read_text() for rank in range(2)}
    assert len(messages) == 1
    assert name in messages.pop()


def test_only_one_process_shows_a_progress_bar(folder):
    bars = (folder / "stderr.txt").read_text().replace("\r", "\n").splitlines()
    assert sum(line.startswith("AutoencoderTransformer: 100%") for line in bars) == 1


@pytest.mark.slow
def test_accelerate_works_as_a_launcher(tmp_path):
    run = launched(ACCELERATE, tmp_path, "early_stopping")
    assert run.returncode == 0, run.stderr
    for rank in range(2):
        assert_same_fit(np.load(tmp_path / f"early_stopping-{rank}.npz"), results(fitted(0, data())))


@pytest.mark.slow
def test_a_failing_process_ends_all(tmp_path):
    run = launched(TORCHRUN, tmp_path, "fails in process 1")
    assert run.returncode != 0
    assert "Input X contains NaN in column 0" in run.stderr


def test_without_a_launcher_the_fit_is_an_ordinary_one():
    alone, ordinary = (results(fitted(0, data(), distributed=distributed)) for distributed in (True, False))
    assert set(alone) == set(ordinary)
    assert all(np.array_equal(alone[key], ordinary[key]) for key in alone)
    assert type(processes_for(True, torch.device("cpu"))) is SingleProcess


def test_without_accelerate_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"sklearn-ae\[distributed\]"):
        fitted(0, data())


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_parts_of_all_processes_make_up_the_batch(n_rows, size):
    batch = torch.arange(n_rows)[:, None]
    shares = [ProcessGroup(rank, size).share(batch) for rank in range(size)]
    assert torch.equal(torch.cat([rows for rows, fraction in shares if fraction]), batch)
    assert sum(fraction for _, fraction in shares) == pytest.approx(1)
    assert all(len(rows) == max(1, round(fraction * n_rows)) for rows, fraction in shares)


def test_noise_differs_between_processes_and_from_the_shuffling():
    order = torch.Generator().manual_seed(3)
    noises = [ProcessGroup(rank, 2).noise(order, 3) for rank in range(2)]
    first, second, ordering = (torch.rand(3, generator=generator) for generator in (*noises, order))
    assert not torch.equal(first, second)
    assert not torch.equal(first, ordering)


def test_a_group_can_be_pickled():
    assert vars(pickle.loads(pickle.dumps(ProcessGroup(1, 2)))) == vars(ProcessGroup(1, 2))
