"""A fit that reads its data block by block is as good as one in memory, and holds little of it in memory."""

import os
import subprocess
import sys
import threading

import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sklearn
import zarr
from helpers import quick
from scipy.sparse import csr_matrix
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data import out_of_core, training_rows
from sklearn_ae.codes import TopK
from sklearn_ae.corruptions import Masking
from sklearn_ae.losses import Mixed
from sklearn_ae.networks import TiedAutoencoder


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sklearn_ae reader"]


@pytest.fixture(autouse=True)
def streaming(monkeypatch):
    """Read everything in blocks of a few hundred rows, and shuffle a few of these at a time."""
    monkeypatch.setattr(out_of_core, "BLOCK_ENTRIES", 64 * 200)
    monkeypatch.setattr(training_rows, "BUFFER_ENTRIES", 64 * 600)
    with sklearn.config_context(working_memory=0):
        yield
    assert readers() == []


class ReiterableChunks:
    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def hdf5(X, folder):
    with h5py.File(folder / "X.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(100, 64))
    return h5py.File(folder / "X.h5", "r")["X"]


def parquet(X, folder):
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    pq.write_table(pa.table(frame), folder / "X.parquet", row_group_size=150)
    return ds.dataset(folder / "X.parquet")


SOURCES = {
    "memmap": mapped,
    "HDF5": hdf5,
    "Zarr": lambda X, folder: zarr.create_array(folder / "X.zarr", data=X, chunks=(90, 64)),
    "Parquet": parquet,
    "list": lambda X, folder: np.array_split(X, 11),
    "iterable": lambda X, folder: ReiterableChunks(np.array_split(X, 11)),
    "dask": lambda X, folder: da.from_array(X, chunks=(250, 64)),
}


@pytest.fixture(scope="module")
def settings() -> dict:
    return {"n_components": 10, "max_epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def loaded(digits, settings) -> AutoencoderTransformer:
    return AutoencoderTransformer(**settings).fit(digits)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_streamed_fit_is_as_good_as_one_in_memory(kind, digits, loaded, settings, tmp_path):
    model = AutoencoderTransformer(**settings).fit(SOURCES[kind](digits, tmp_path))
    assert model.net_.history[-1]["train_loss"] > 0
    given = pd.DataFrame(digits, columns=model.feature_names_in_) if kind == "Parquet" else digits
    assert model.score(given) == pytest.approx(loaded.score(digits), abs=0.005)
    np.testing.assert_allclose(model.mean_, digits.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model._scaling.scale, loaded._scaling.scale, rtol=1e-12)
    assert model._architecture.output_activation == loaded._architecture.output_activation == "clip"


@pytest.mark.parametrize("kind", SOURCES)
def test_small_sources_are_loaded_and_give_bitwise_identical_results(kind, digits, tmp_path):
    source = SOURCES[kind](digits[:400], tmp_path)
    with sklearn.config_context(working_memory=1):
        model = quick(4).fit(source)
    np.testing.assert_array_equal(model.components_, quick(4).fit(digits[:400]).components_)
    streamed = quick(4).fit(source)
    assert not np.array_equal(
        streamed.components_, model.components_
    )  # otherwise the assertion above would prove nothing


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", sorted(set(SOURCES) - {"dask"}))  # its results are lazy: see test_dask.py
def test_results_of_a_fitted_estimator_are_those_of_the_array(kind, dtype, digits, tmp_path):
    X = digits.astype(dtype)
    source = SOURCES[kind](X, tmp_path)
    model = quick(6, ordered=True, code="gaussian", max_epochs=1)
    model.fit(pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)]) if kind == "Parquet" else X)
    given = pd.DataFrame(X, columns=model.feature_names_in_) if kind == "Parquet" else X
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    assert model.transform(source).dtype == dtype
    for method in ("transform", "score", "score_samples", "reconstruction_error", "reconstruction_curve"):
        of_source, of_array = (getattr(model, method)(each) for each in (source, given))
        np.testing.assert_allclose(of_source, of_array, rtol=rtol, atol=rtol)
    errors = model.reconstruction_error(source, per_feature=True)
    np.testing.assert_allclose(errors, model.reconstruction_error(given, per_feature=True), rtol=rtol, atol=100 * rtol)
    assert np.isfinite(model.elbo(source, 0))


def test_the_initialization_is_pca(digits, tmp_path):
    start, streamed = (
        quick(10, max_epochs=0, early_stopping=False).fit(each) for each in (digits, mapped(digits, tmp_path))
    )
    assert streamed.score(digits) == pytest.approx(start.score(digits), abs=1e-6)
    np.testing.assert_allclose(streamed.components_, start.components_, atol=1e-4)


def test_the_same_seed_gives_the_same_bits(digits, tmp_path):
    source = mapped(digits, tmp_path)
    one, again, other = (quick(4, random_state=seed).fit(source) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.components_, again.components_)
    assert not np.array_equal(one.components_, other.components_)


def test_sorted_samples_are_mixed(digits, loaded, settings):
    """A source sorted by brightness gives as good a fit: blocks are read in random order and several are mixed."""
    ordered = digits[np.argsort(digits.sum(axis=1))]
    model = AutoencoderTransformer(**settings).fit(np.array_split(ordered, 30))
    assert model.score(digits) == pytest.approx(loaded.score(digits), abs=0.01)


def test_batches_larger_than_a_buffer(digits):
    model = quick(4, batch_size=1000, max_epochs=5).fit(np.array_split(digits, 11))
    assert np.isfinite(model.loss_curve_).all()
    assert model.best_epoch_ > 0


class SampleRecorder(Callback):
    """Records the samples used for training and for validation."""

    def __init__(self):
        self.rows = {True: [], False: []}

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.rows[training] += batch[0].numpy().round(3).tolist()


def test_each_epoch_uses_every_training_sample_once_and_no_validation_sample(digits):
    X = digits[:300] + np.arange(300)[:, None]
    seen = SampleRecorder()
    quick(4, max_epochs=2, callbacks=[seen]).fit(np.array_split(X, 11))
    train, valid = ({tuple(row) for row in seen.rows[training]} for training in (True, False))
    assert len(train) == 270
    assert len(valid) == 30
    assert not train & valid
    assert len(seen.rows[True]) == 2 * 270


class TestPartialFit:
    def test_a_source_counts_as_one_call(self, digits):
        parts = np.array_split(digits, 5)
        model = quick(8).partial_fit(ReiterableChunks(parts))
        assert model.n_iter_ == 1
        for _ in range(9):
            model.partial_fit(parts)
        expected = quick(8)
        for _ in range(10):
            expected.partial_fit(digits)
        assert model.score(digits) == pytest.approx(expected.score(digits), abs=0.01)

    def test_each_chunk_of_a_generator_counts_as_one_call(self, digits):
        parts = np.array_split(digits, 5)
        model = quick(8).partial_fit(part for part in parts)
        expected = quick(8)
        for part in parts:
            expected.partial_fit(part)
        assert model.n_iter_ == 5
        np.testing.assert_array_equal(model.components_, expected.components_)

    def test_an_empty_generator_raises_an_error(self, digits):
        for chunks in ([], [digits[:0]]):
            with pytest.raises(ValueError, match="yields no samples"):
                quick().partial_fit(iter(chunks))

    @pytest.mark.parametrize("empty", [np.empty((0, 64)), csr_matrix((0, 64))], ids=["dense", "sparse"])
    def test_chunks_without_rows_are_skipped(self, empty, digits):
        model = quick(8).partial_fit(iter([empty, digits[:300], empty, digits[300:600]]))
        expected = quick(8).partial_fit(iter([digits[:300], digits[300:600]]))
        assert model.n_iter_ == 2
        np.testing.assert_array_equal(model.components_, expected.components_)

    @pytest.mark.parametrize("container", [list, iter])
    def test_a_failed_first_call_leaves_the_estimator_unfitted(self, container, digits):
        model = quick()
        with pytest.raises(ValueError, match="NaN"):
            model.partial_fit(container([np.full((5, 4), np.nan)]))
        assert not [name for name in vars(model) if name.endswith("_")]

    def test_a_failing_chunk_keeps_the_result_of_earlier_ones(self, digits):
        model = quick()
        with pytest.raises(ValueError, match="NaN"):
            model.partial_fit(iter([digits[:100], np.full((5, 64), np.nan)]))
        assert model.n_iter_ == 1


VARIANTS = [
    {"ordered": True},
    {"n_components": "auto"},
    {"n_components": 0.5},
    {"code": "gaussian"},
    {"code": TopK(2)},
    {"code": "winner_take_all"},
    {"output_activation": "clip"},
    {"corruption": Masking(0.3)},
    {"corruption": "salt_and_pepper"},
    {"penalty": ["l1", "contractive"]},
    {"early_stopping": False},
    {"loss": "poisson"},
    {"loss": "multinomial"},
    {"loss": Mixed([("poisson", slice(0, 30))])},
    {"init": "transpose"},
    {"module": TiedAutoencoder},
    {"warm_start": True},
    {"lr_schedule": "constant"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_all_variants(variant, digits):
    params = {"n_components": 4, "max_epochs": 4} | variant
    loaded, streamed = (quick(**params).fit(each) for each in (digits[:500], np.array_split(digits[:500], 7)))
    assert abs(streamed.n_components_ - loaded.n_components_) <= 20
    assert streamed.score(digits) == pytest.approx(loaded.score(digits), abs=0.05)
    assert streamed.fit(np.array_split(digits[:500], 7)).n_iter_ == 4


class Stop(Callback):
    def __init__(self, error):
        self.error = error

    def on_batch_end(self, net, **kwargs):
        raise self.error


class TestInterruptions:
    """The fixture asserts that no reader is left."""

    def test_ctrl_c_keeps_the_best_weights(self, digits):
        with pytest.warns(UserWarning, match="interrupted"):
            model = quick(4, callbacks=[Stop(KeyboardInterrupt())]).fit(np.array_split(digits, 11))
        assert model.best_epoch_ == 0

    def test_an_error_in_training_leaves_the_estimator_unfitted(self, digits):
        model = quick(4, callbacks=[Stop(RuntimeError("in a callback"))])
        with pytest.raises(RuntimeError, match="in a callback"):
            model.fit(np.array_split(digits, 11))
        assert not hasattr(model, "module_")

    def test_an_error_of_the_source_is_raised(self, digits):
        class Breaks(ReiterableChunks):
            n_passes = 0

            def __iter__(self):
                self.n_passes += 1
                yield self.parts[0]
                if self.n_passes == 8:
                    raise OSError("the disk is gone")
                yield from self.parts[1:]

        model = quick(4, max_epochs=20)
        with pytest.raises(OSError, match="the disk is gone"):
            model.fit(Breaks(np.array_split(digits, 11)))
        assert not hasattr(model, "module_")


MEMORY = """
import sys
import numpy as np
import sklearn
from sklearn_ae import AutoencoderTransformer

def kib(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

path = sys.argv[1]
X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(300_000, 250))
rng = np.random.default_rng(0)
axes = rng.normal(size=(3, 250)).astype(np.float32)
for start in range(0, len(X), 10_000):
    X[start : start + 10_000] = rng.normal(size=(10_000, 3)).astype(np.float32) @ axes
X.flush()
del X
settings = {"hidden_layer_sizes": (), "max_epochs": 1, "validation_fraction": 0.01, "batch_size": 2048}
model = AutoencoderTransformer(4, random_state=0, **settings)
sklearn.set_config(working_memory=32)
model.fit(np.load(path)[:5000])
X = np.load(path, mmap_mode="r")
open("/proc/self/clear_refs", "w").write("5")
before = kib("VmRSS")
model.fit(X)
assert model.score(X) > 0.99
print((kib("VmHWM") - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory is Linux's")
def test_memory_stays_far_below_that_of_the_data(tmp_path):
    """The data takes 300 MB on disk. One run used less than 150 MB, another 159."""
    call = [sys.executable, "-c", MEMORY, str(tmp_path / "X.npy")]
    result = subprocess.run(call, check=True, capture_output=True, text=True)
    assert float(result.stdout) < 200
