"""The scripts in examples/ run: always with little data, and in ``make test-all`` as a user runs them."""

import os
import re
import runpy
import subprocess
import sys
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from joblib import parallel_config
from sklearn.decomposition import PCA
from sklearn.utils import Bunch

import sklearn_ae.datasets
from sklearn_ae import AutoencoderTransformer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(script, folder):
    """Run an example in a folder, with warnings as errors, and return its output."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-W", "error", EXAMPLES / script]
    environment = os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


def small_mnist(mnist):
    """Return 5,000 images of 14 x 14 pixels to train on and 300 to test on."""
    images = {
        name: mnist[name].reshape(-1, 28, 28)[:n, ::2, ::2].reshape(n, 196)
        for name, n in {"data": 5000, "data_test": 300}.items()
    }
    return Bunch(**images, target=mnist.target[:5000], target_test=mnist.target_test[:300])


@pytest.fixture
def brief(monkeypatch, mnist):
    """Give examples little data, one epoch and one process."""
    load_digits, fit = sklearn.datasets.load_digits, AutoencoderTransformer.fit

    def load_few_digits(**kwargs):
        loaded = load_digits(**kwargs)
        if isinstance(loaded, tuple):
            return tuple(array[:300] for array in loaded)
        return Bunch(**{name: loaded[name][:300] for name in ("data", "images", "target")})

    @wraps(fit)
    def fit_one_epoch(self, X, y=None, **params):
        max_epochs, self.max_epochs = self.max_epochs, 1
        fit(self, X, y, **params)
        return self.set_params(max_epochs=max_epochs)

    monkeypatch.setattr(sklearn.datasets, "load_digits", load_few_digits)
    monkeypatch.setattr(sklearn_ae.datasets, "fetch_mnist", lambda: small_mnist(mnist))
    monkeypatch.setattr(AutoencoderTransformer, "fit", fit_one_epoch)
    with parallel_config(backend="sequential"):
        yield


@pytest.mark.usefixtures("brief", "scratch")
@pytest.mark.filterwarnings("ignore:Maximum number of iterations:sklearn.exceptions.ConvergenceWarning")  # of NMF
@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_runs(script):
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")


@pytest.mark.usefixtures("brief", "scratch")
def test_the_mixed_frame_draws_no_probability_outside_0_and_1_and_no_legend_over_bars():
    drawn = runpy.run_path(str(EXAMPLES / "plot_mixed_frame.py"))
    bars, histogram = drawn["axes"]
    for name, polygon in zip(drawn["decoded"], histogram.patches, strict=False):
        inside = np.abs(polygon.get_xy()[:, 0] - 0.5) <= 0.5 + 1e-12
        heights = polygon.get_xy()[:, 1]
        assert (heights[~inside] > 0).any() == (name == "PCA")
        assert heights[inside].max() > 0
    assert bars.get_legend() is histogram.get_legend() is None


@pytest.fixture(scope="module")
def demo():
    return runpy.run_path(str(EXAMPLES / "demo.py"), run_name="demo")


def test_rows_of_the_demo_are_aligned(demo, capsys):
    demo["print_row"]("", "components", "R²", "accuracy", "seconds", "parameters")
    for name in demo["DECOMPOSITIONS"]:
        demo["print_row"](name, 4, -10.5, 1.0, 999.9, 1e6, error=0.01)
    lines = capsys.readouterr().out.splitlines()
    ends = [[word.end() for word in re.finditer(r"\S+(?: ± \S+)?", line)][-5:] for line in lines]
    assert ends == ends[:1] * len(lines)


def test_parameters_of_the_demo_are_those_of_the_model(demo, digits):
    assert demo["n_parameters"](PCA(3).fit(digits)) == 3 * 64
    autoencoder = AutoencoderTransformer(3, hidden_layer_sizes=(), max_epochs=0).fit(digits)
    assert demo["n_parameters"](autoencoder) == 2 * 3 * 64 + 3 + 64


def test_the_error_of_an_accuracy_in_the_demo_is_that_of_its_samples(demo):
    right = np.repeat([1.0, 0.0], [90, 10])
    assert demo["standard_error"](0.9, 100) == pytest.approx(right.std() / 10)


def test_the_demo_chooses_the_smallest_sufficient_size(demo):
    assert demo["smallest_good_one"]({"mean_test_accuracy": np.array([0.9, 0.986, 0.98, 0.99])}) == 1


@pytest.mark.slow
def test_demo(tmp_path):
    printed = run("demo.py", tmp_path)
    r2 = [float(score) for score in re.findall(r"^  .+? 16 +(-?[\d.]+) ", printed, re.MULTILINE)]
    pca, nmf, autoencoder, _, deep, _ = r2
    assert nmf < pca < min(autoencoder, deep)
    assert printed.count(", chosen") == 1
    for name in ("two_components.png", "reconstructions.png"):
        assert str(Path("output", name)) in printed
        assert (tmp_path / "output" / name).stat().st_size > 10_000


@pytest.mark.slow
def test_two_components(tmp_path):
    printed = run("plot_two_components.py", tmp_path)
    r2, accuracy = zip(*re.findall(r"R² (0\.\d{3}) ± 0\.\d{3}, accuracy (0\.\d{3}) ± ", printed), strict=True)
    assert float(r2[0]) + 0.2 < float(r2[1])
    assert float(accuracy[0]) + 0.1 < float(accuracy[1])
    assert (tmp_path / "output" / "two_components.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_mnist_features(tmp_path):
    printed = run("plot_mnist_features.py", tmp_path)
    assert len(re.findall(r"R² 0\.\d{3}", printed)) == 8


@pytest.mark.slow
def test_choose_size(tmp_path):
    printed = run("plot_choose_size.py", tmp_path)
    curve = [float(score) for score in re.findall(r"components: R² ([\d.]+)$", printed, re.MULTILINE)]
    assert len(curve) == 6
    assert curve == sorted(curve)
    fraction, auto, pca = (
        int(size) for size in re.findall(r"^(?:n_components|PCA).*? (\d+) components", printed, re.MULTILINE)
    )
    assert fraction < pca < auto
    best, chosen = (int(size) for size in re.findall(r"^(?:best|chosen): (\d+) components", printed, re.MULTILINE))
    assert chosen < best


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_compare_decompositions(tmp_path):
    printed = run("plot_compare_decompositions.py", tmp_path)
    rows = re.findall(r"^\| \d+ \| (.*) \|$", printed, re.MULTILINE)
    assert len(rows) == 5
    for row in rows:
        autoencoder, pca, nmf, *_ = map(float, row.split(" | "))
        assert nmf < pca < autoencoder
    assert len(re.findall(r"^(?:autoencoder|PCA|NMF) +\d+ +0\.\d{3} ± ", printed, re.MULTILINE)) == 3 * (5 + 4)
    assert str(Path("output", "comparison.png")) in printed
    assert (tmp_path / "output" / "comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_pipeline_classifier(tmp_path):
    printed = run("plot_pipeline_classifier.py", tmp_path)
    assert len(re.findall(r"0\.\d{3} ± 0\.\d{3}", printed)) == 2 * 7
    best, chosen = (int(size) for size in re.findall(r"^(?:best|chosen): .* (\d+) components", printed, re.MULTILINE))
    assert chosen <= best
    assert re.search(r"^all 64 pixels: test accuracy 0\.9", printed, re.MULTILINE)


@pytest.mark.slow
def test_outliers(tmp_path):
    printed = run("plot_outliers.py", tmp_path)
    autoencoder, pca, forest = map(float, re.search(r"^mean +(\S+) +(\S+) +(\S+)$", printed, re.MULTILINE).groups())
    assert forest < pca < autoencoder
    assert len(re.findall(r"^\d+(?: +0\.\d{3}){3}$", printed, re.MULTILINE)) == 10 + 4


@pytest.mark.slow
def test_anomalies(tmp_path):
    printed = run("plot_anomalies.py", tmp_path)
    precision = {name: float(value) for name, value in re.findall(r"^(\w+) +average precision (\S+)$", printed, re.M)}
    assert precision["chance"] <= precision["PCA"] < 0.2 < 0.4 < precision["autoencoder"]
    called = {
        name: float(value) for name, value in re.findall(r"^(\w+) wines that are outliers: (\S+)$", printed, re.M)
    }
    assert called["ordinary"] < 0.2 < 0.5 < called["unusual"]


@pytest.mark.slow
def test_traversal(tmp_path):
    printed = run("plot_traversal.py", tmp_path)
    scores = [float(score) for score in re.findall(r"R² ([\d.]+)$", printed, re.MULTILINE)]
    assert len(scores) == 4
    assert scores[1] < scores[0]
    assert scores[3] < scores[2]


@pytest.mark.slow
def test_colour_patches(tmp_path):
    printed = run("plot_colour_patches.py", tmp_path)
    redundancy = dict(re.findall(r"^(\w+) .* redundancy ([\d.]+)$", printed, re.MULTILINE))
    assert redundancy.keys() == {"PCA", "dropout", "TopK", "L1"}
    assert max(float(redundancy["TopK"]), float(redundancy["L1"])) < float(redundancy["dropout"]) - 0.1


@pytest.mark.slow
def test_spectra(tmp_path):
    assert run("plot_spectra.py", tmp_path) == ""


@pytest.mark.slow
def test_mixed_frame(tmp_path):
    printed = run("plot_mixed_frame.py", tmp_path)
    right = {
        kind: [float(score) for score in re.findall(r"(0\.\d{3})", re.search(f"^{kind}: (.*)$", printed, re.M)[1])]
        for kind in ("numbers", "binaries", "categories")
    }
    pca, squared, mixed = right["binaries"]
    assert pca < squared < mixed
    assert right["categories"][0] < min(right["categories"][1:]) - 0.1
    assert min(right["numbers"]) > 0.85
    assert "mixed: 0% of binaries outside [0, 1], levels sum to 1.00 to 1.00" in printed
