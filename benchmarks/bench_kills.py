"""Fits killed with SIGKILL at random moments and resumed: python -m benchmarks.bench_kills [kills, default 200]."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae._checkpoints.format import decode_state

FITS = {
    "defaults": {},
    "noise, ordered": {"code_dropout": 0.2, "corruption": 0.2, "ordered": True},
    "linear schedule, no split": {"lr_schedule": "linear", "early_stopping": False},
    "Gaussian code, SGD": {"code": "gaussian", "optimizer": "sgd", "lr": 1e-3},
}
N_TIMED = 3
N_ROWS = 600  # of the fits that are killed; times are of fits to all 1,797 samples
MAX_EPOCHS = 20


def estimator(params: dict, **more) -> AutoencoderTransformer:
    return AutoencoderTransformer(8, max_epochs=MAX_EPOCHS, random_state=0, **params, **more)


def bits(model: AutoencoderTransformer, X: np.ndarray) -> list[bytes]:
    """Return the results of a fit as bytes, except for times."""
    scores = [] if model.validation_scores_ is None else model.validation_scores_
    losses = [[epoch["train_loss"], epoch.get("valid_loss", 0)] for epoch in model.net_.history]
    weights = [value.numpy() for value in model.module_.state_dict().values()]
    arrays = [model.components_, model.loss_curve_, scores, losses, model.best_epoch_, model.transform(X), *weights]
    return [np.asarray(array).tobytes() for array in arrays]


def run_and_kill(params: dict, X: np.ndarray, path: Path, after: float) -> bool:
    """Resume a fit in a forked process, kill it after some seconds and return whether it was still running."""
    child = os.fork()
    if child == 0:
        try:
            estimator(params, checkpoint=path, resume=True).fit(X)
        except BaseException:
            os._exit(1)
        os._exit(0)
    end = time.perf_counter() + after
    ended, status = 0, 0
    while not ended and time.perf_counter() < end:
        time.sleep(min(0.002, max(0.0, end - time.perf_counter())))
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise AssertionError(f"a resumed fit failed: {params}")
    return os.WIFSIGNALED(status)


def is_corrupt(path: Path) -> bool:
    """Return whether the file exists and cannot be read."""
    try:
        decode_state(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def milliseconds_per_epoch(params: dict, X: np.ndarray, folder: Path) -> tuple[float, float]:
    """Return the least time per epoch without checkpoints, and the time that a checkpoint adds."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for i in range(N_TIMED):
        for kept in times:
            model = estimator(params, checkpoint=folder / f"timed {i}" if kept else None)
            start = time.perf_counter()
            model.fit(X)
            times[kept].append(1000 * (time.perf_counter() - start) / model.n_iter_)
    plain, with_checkpoints = min(times[False]), min(times[True])
    return plain, with_checkpoints - plain


def main(n_kills: int) -> None:
    torch.set_num_threads(1)  # before anything has run: a forked process must not inherit a pool of threads
    X, rng = load_digits().data, np.random.default_rng(0)
    rows = X[:N_ROWS]
    print_header(f"# Fits killed and resumed: {N_ROWS} digits, {MAX_EPOCHS} epochs", [0])
    print(f"Killed by SIGKILL at uniformly random moments; times are the least of {N_TIMED} fits of all digits.\n")
    counted = ("kills", "resumes", "fits compared", "equal in all bits", "corrupt files")
    print_head("fit", *counted, "ms an epoch", "ms a checkpoint adds")
    totals = np.zeros(5, dtype=int)
    for name, params in FITS.items():
        n_kills_of_fit = -(-(n_kills - totals[0]) // (len(FITS) - list(FITS).index(name)))
        with tempfile.TemporaryDirectory() as folder:
            estimator(params).fit(rows)  # the first fit takes longer: it imports modules
            start = time.perf_counter()
            expected = bits(estimator(params).fit(rows), rows)
            duration = time.perf_counter() - start
            counts = killed_fits(params, rows, Path(folder), expected, n_kills_of_fit, duration, rng)
            plain, added = milliseconds_per_epoch(params, X, Path(folder))
        totals += counts
        print_row(name, *counts, f"{plain:.1f}", f"{added:.1f}")
    print_row("all", *totals, "", "")
    assert totals[2] == totals[3]
    assert totals[4] == 0


def killed_fits(params, X, folder, expected, n_kills, duration, rng) -> np.ndarray:
    """Kill fits at random moments; return the numbers of kills, resumes, fits, equal fits and corrupt files."""
    kills = resumes = fits = equal = corrupt = 0
    while kills < n_kills:
        path = folder / f"fit {fits}"
        finished = False
        while not finished and kills < n_kills:
            resumes += path.exists()
            finished = not run_and_kill(params, X, path, rng.uniform(0, duration))
            kills += not finished
            corrupt += is_corrupt(path)
        resumes += path.exists()
        equal += bits(estimator(params, checkpoint=path, resume=True).fit(X), X) == expected
        fits += 1
    return np.array([kills, resumes, fits, equal, corrupt])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
