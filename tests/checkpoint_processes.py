"""Script of tests/training/test_checkpoints.py, in a separate process: forks fits, kills them and fills their disk.

python checkpoint_processes.py FOLDER WHAT...
"""

import itertools
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer

VARIANTS = {
    "defaults": {},
    "noise": {"code_dropout": 0.2, "corruption": 0.2, "ordered": True},
    "linear": {"lr_schedule": "linear"},
    "sgd": {"optimizer": "sgd", "early_stopping": False},
    "gaussian": {"code": "gaussian"},
    "gaps": {"missing": "mask"},
    "sparse": {},
}


def data(name):
    X = np.asarray(load_digits().data[:300])
    if name == "gaps":
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return csr_matrix(X) if name == "sparse" else X


def estimator(name, **params):
    defaults = {"max_epochs": 12, "hidden_layer_sizes": (16,), "random_state": 0}
    return AutoencoderTransformer(4, **defaults | VARIANTS[name] | params)


def bits(model, X):
    """Return the results of a fit as bytes, except for times."""
    scores = [] if model.validation_scores_ is None else model.validation_scores_
    losses = [[epoch.get(key, 0) for epoch in model.net_.history] for key in ("train_loss", "valid_loss")]
    weights = [value.numpy() for value in model.module_.state_dict().values()]
    arrays = [model.components_, model.loss_curve_, scores, losses, model.transform(X), model.best_epoch_, *weights]
    return [np.asarray(array).tobytes() for array in arrays]


def in_child(work):
    """Call a function in a forked process and return the process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except ValueError as error:
        os._exit(3 if "other data" in str(error) else 4)
    except BaseException as error:
        print(type(error), error, file=sys.stderr, flush=True)
        os._exit(5)


def killed_after(child, seconds):
    """Kill a process after some seconds and return whether it was still running."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def kill(folder):
    """Kill a fit of each variant once at a random moment, resume it, and compare the results."""
    rng = np.random.default_rng()
    for name in VARIANTS:
        X, path = data(name), folder / name
        start = time.perf_counter()
        expected = bits(estimator(name, checkpoint=folder / "not killed").fit(X), X)
        duration = time.perf_counter() - start
        for file in folder.iterdir():
            file.unlink()
        killed = False
        while not killed:
            path.unlink(missing_ok=True)
            child = in_child(lambda name=name, path=path, X=X: estimator(name, checkpoint=path, resume=True).fit(X))
            killed = killed_after(child, rng.uniform(0.1, 0.9) * duration)
        resumed = estimator(name, checkpoint=path, resume=True).fit(X)
        assert bits(resumed, X) == expected, name


def kill_in_write(folder):
    """Kill fits just before a call that writes the file, resume them, and compare the results."""
    X = data("defaults")
    expected = bits(estimator("defaults").fit(X), X)
    for name, n_calls in [("fsync", 1), ("link", 1), ("fsync", 4), ("replace", 1), ("replace", 5)]:
        path = folder / f"{name} {n_calls}"

        def fit(name=name, n_calls=n_calls, path=path):
            call, calls = getattr(os, name), itertools.count(1)

            def kill_or_call(*args):
                if next(calls) == n_calls:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args)

            setattr(os, name, kill_or_call)
            estimator("defaults", checkpoint=path).fit(X)

        assert os.WTERMSIG(os.waitpid(in_child(fit), 0)[1]) == signal.SIGKILL
        assert len([*folder.glob(f"{path.name}.*.tmp")]) == 1
        assert path.exists() == (n_calls > 1 or name == "replace")
        assert bits(estimator("defaults", checkpoint=path, resume=True).fit(X), X) == expected, path.name


class FillDisk(Callback):
    """Limits files to a few bytes from the fourth epoch on."""

    def on_epoch_begin(self, net, **kwargs):
        import resource

        if len(net.history) == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def fill(folder):
    """Fill the disk in the fourth epoch, then make room and resume."""
    import resource

    X, path = data("defaults"), folder / "full"
    model = estimator("defaults", lr_schedule="constant", checkpoint=path, callbacks=[FillDisk()])
    with pytest.raises(OSError, match=r"File too large.*full'") as error:
        model.fit(X)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert isinstance(error.value.__cause__, OSError)
    assert (model.n_iter_, len(model.validation_scores_)) == (4, 5)
    three = estimator("defaults", lr_schedule="constant", max_epochs=4).fit(X)
    assert bits(model, X) == bits(three, X)
    assert os.listdir(folder) == ["full"]
    resumed = estimator("defaults", lr_schedule="constant", checkpoint=path, resume=True).fit(X)
    assert bits(resumed, X) == bits(estimator("defaults", lr_schedule="constant").fit(X), X)


def race(folder):
    """Start two fits to different data at one path at the same time: one of them raises an error, whichever it is."""
    for attempt in range(2):
        X, path = data("defaults"), folder / f"shared {attempt}"
        begin = time.time() + 0.2

        def fit(rows, path=path, begin=begin):
            time.sleep(max(0, begin - time.time()))
            estimator("defaults", checkpoint=path, max_epochs=3).fit(rows)

        children = [in_child(lambda rows=rows: fit(rows)) for rows in (X[:150], X[150:])]
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
        assert codes == [0, 3], codes


if __name__ == "__main__":
    estimator("defaults").fit(data("defaults"))  # imports what a first fit imports: seconds, once for all children
    for what in sys.argv[2:]:
        folder = Path(sys.argv[1], what)
        folder.mkdir()
        {"kill": kill, "kill_in_write": kill_in_write, "fill": fill, "race": race}[what](folder)
