"""Variational autoencoders on binarised MNIST: the bound on the log-likelihood of the test images.

    python -m benchmarks.bench_variational [--choose]

Pixels are 1 above one half and else 0; 20 units, a hidden layer of 500. Images drawn from the first of them go to
output/variational_samples.png. With --choose the bounds are those of 10,000 of the training images.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from benchmarks.data import MNIST_TRAINING, mnist_split
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.plotting import ComponentsDisplay

SETTINGS = MNIST_TRAINING | {
    "code": "gaussian",
    "loss": "log_loss",
    "hidden_layer_sizes": (500,),
    "max_epochs": 20,
    "random_state": 0,
}
VARIANTS = {
    "hidden layer of 500, PCA start": {},
    "hidden layer of 500, random start": {"init": "random"},
    "hidden layer of 500, PCA start, not trained": {"max_epochs": 0},
    "no hidden layer (linear decoder), PCA start": {"hidden_layer_sizes": ()},
}
N_DRAWS = 10  # of the code of each sample, for the bound


def main(data: Bunch) -> None:
    """Print the bounds and draw images."""
    X, X_test = ((images > 0.5).astype(np.float32) for images in (data.X, data.X_test))
    print_head("20 units", "bound, held-out images, nats", "bound, training images", "units in use", "seconds to fit")
    for name, settings in VARIANTS.items():
        start = time.perf_counter()
        model = AutoencoderTransformer(20, **{**SETTINGS, **settings}).fit(X)
        seconds = time.perf_counter() - start
        bounds = [np.mean([model.elbo(rows, seed) for seed in range(N_DRAWS)]) for rows in (X_test, X[: len(X_test)])]
        in_use = int((model.transform(X_test).var(axis=0) > 0.01).sum())
        print_row(name, *(f"{bound:.2f}" for bound in bounds), in_use, f"{seconds:.0f}")
        if not settings:
            draw_samples(model)


def draw_samples(model: AutoencoderTransformer) -> None:
    """Save a picture of 64 images drawn from the model."""
    display = ComponentsDisplay.from_components(model.sample(64, random_state=0), image_shape=(28, 28))
    Path("output").mkdir(exist_ok=True)
    display.figure_.savefig("output/variational_samples.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    data = mnist_split(args.choose)
    print_header(f"Variational autoencoders on MNIST binarised at 0.5, judged on {data.judged_on}", [0])
    main(data)
