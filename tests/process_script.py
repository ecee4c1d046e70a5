"""Run by tests/training/test_concurrency.py in a process with two OpenMP threads: compares workers with a serial run.

    python process_script.py WAY N_ROWS

Prints the digests of the serial run and of the workers. A worker that hangs prints where, and ends.
"""

import faulthandler
import hashlib
import multiprocessing
import os
import pickle
import sys

import numpy as np
import torch
from joblib import Parallel, delayed

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._utils.threads import one_thread

PATIENCE = 100


def data(n_rows):
    rng = np.random.default_rng(0)
    return rng.random((n_rows, 20), dtype=np.float32) @ rng.random((20, 784), dtype=np.float32)


def fitted(X, **settings):
    settings = {"n_components": 4, "hidden_layer_sizes": (64,), "max_epochs": 1, "random_state": 0} | settings
    return AutoencoderTransformer(**settings).fit(X)


def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


def applied(model, X):
    """Return a digest of all that a fitted model computes, including after a load and after another pass."""
    codes = model.transform(X)
    loaded = pickle.loads(pickle.dumps(model))
    made = [codes, model.inverse_transform(codes), model.score_samples(X), np.array(model.score(X))]
    made += [loaded.transform(X), loaded.sample(9, random_state=0), np.array(loaded.elbo(X, random_state=0))]
    made.append(loaded.partial_fit(X[:2000]).transform(X[:100]))
    return digest(made)


def trained(X):
    """Return digests of two fits, one of them also truncated to its first components."""
    ordered = fitted(X, ordered=True)
    return digest([fitted(X).transform(X), ordered.transform(X), ordered.truncate(2).transform(X)])


def work(what, n_rows, pickled):
    """Return a worker's digest, after checking that it left the number of threads alone."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    n_threads = torch.get_num_threads()
    X = data(n_rows)
    made = trained(X) if what == "fit" else applied(pickle.loads(pickled), X)
    assert torch.get_num_threads() == n_threads
    faulthandler.cancel_dump_traceback_later()
    return made


def by_os_fork(tasks):
    """Return the digests of bare forks, run one at a time with the model in the parent's memory."""
    made = []
    for task in tasks:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, work(*task).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            made.append(pipe.read())
        os.waitpid(child, 0)
    return made


def by_pool(method):
    def run(tasks):
        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.starmap_async(work, tasks).get(timeout=2 * PATIENCE)

    return run


def by_loky(tasks):
    return Parallel(n_jobs=2, backend="loky")(delayed(work)(*task) for task in tasks)


WAYS = {"os.fork": by_os_fork, "fork": by_pool("fork"), "spawn": by_pool("spawn"), "loky": by_loky}


if __name__ == "__main__":
    way, n_rows = sys.argv[1], int(sys.argv[2])
    assert torch.get_num_threads() == 2
    X = data(n_rows)
    model = fitted(X, code="gaussian")  # with both threads, so that there is a team that a fork lacks
    model.transform(X)
    pickled = pickle.dumps(model)
    with one_thread():
        print(applied(model, X), trained(X), flush=True)
    if way in ("spawn", "loky"):
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # the serial run's, for the same bits
    tasks = [(what, n_rows, pickled) for what in ("apply", "fit")]
    print(*WAYS[way](tasks))
    assert torch.get_num_threads() == 2
    model.transform(X)  # the parent works as before
