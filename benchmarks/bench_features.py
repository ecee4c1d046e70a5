"""Which variant finds features? 64 units of each on MNIST, in one picture: output/features.png.

    python -m benchmarks.bench_features

Beneath each: component_quality's localisation, redundancy and fraction of dead units, and the test error of a logistic
regression on the codes, divided by their overall standard deviation.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from sklearn.decomposition import NMF, PCA

from benchmarks.bench_probe import probe_error
from benchmarks.data import MNIST_TRAINING, mnist_split
from benchmarks.tables import print_head, print_header, print_limits, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK, WinnerTakeAll
from sklearn_ae.model_selection import component_quality, reconstruction_score
from sklearn_ae.networks import TiedAutoencoder
from sklearn_ae.penalties import L1, Contractive
from sklearn_ae.plotting import ComponentsDisplay

COMMON = MNIST_TRAINING | {
    "hidden_layer_sizes": (),
    "output_activation": "identity",
    "max_epochs": 20,
    "random_state": 0,
}
AUTOENCODERS: dict[str, dict[str, Any]] = {
    "plain (rectifier)": {"code": "relu"},
    "dropout 0.5": {"code": "relu", "code_dropout": 0.5},
    "denoising, masking 0.5": {"code": "relu", "corruption": 0.5},
    "L1, 1": {"code": "relu", "penalty": L1(1.0)},
    "TopK, k = 5": {"code": TopK(5)},
    "winner-take-all, 0.1": {"code": WinnerTakeAll(0.1)},
    "contractive, 1": {"code": "sigmoid", "penalty": Contractive(1.0)},
    "tied weights (rectifier)": {"code": "relu", "module": TiedAutoencoder},
}


def estimators() -> dict[str, Any]:
    """Return the contenders by name."""
    autoencoders = {
        name: AutoencoderTransformer(64, **{**COMMON, **settings}) for name, settings in AUTOENCODERS.items()
    }
    return {"PCA": PCA(64, random_state=0), "NMF": NMF(64, init="nndsvda", max_iter=200, random_state=0)} | autoencoders


def main() -> None:
    """Print a line and draw a panel for each contender."""
    data = mnist_split(choose=False)
    figure, axes = plt.subplots(2, 5, figsize=(25, 11.5), layout="constrained")
    print_head("64 units", "localisation", "redundancy", "dead", "probe, test error, %", "R², test images")
    models = estimators()
    for ax, (name, model) in zip(axes.flat, models.items(), strict=True):
        model.fit(data.X)
        quality = component_quality(model)
        figures = [f"{quality[key]:.2f}" for key in ("localisation", "redundancy", "dead")]
        error = probe_error(model.transform(data.X), model.transform(data.X_test), data, max_iter=1000)
        print_row(name, *figures, f"{error:.2f}", f"{reconstruction_score(model, data.X_test):.3f}")
        ComponentsDisplay.from_components(model.components_, image_shape=(28, 28), ax=ax)
        caption = "localisation {}, redundancy {}, dead {}".format(*figures)
        ax.set_title(f"{name}\n{caption}\nlinear probe {error:.2f} %", fontsize=11)
    print_limits(models.values())
    Path("output").mkdir(exist_ok=True)
    figure.savefig("output/features.png", dpi=60)


if __name__ == "__main__":
    print_header("Features of MNIST digits, 64 units", [0])
    main()
