"""Data sets of the benchmarks and the tests."""

from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from sklearn_ae.datasets import fetch_mnist

#: Number of training images of MNIST for choosing settings; test images are only for the final figures.
N_CHOICE = 10_000

#: Real data that is not committed: `tables` with `X` in one file each, and `frames`.
SHARED = Path(__file__).parents[2] / "shared" / "data"

#: How the measurements train on MNIST, except for epochs and network.
MNIST_TRAINING = {"early_stopping": False}


def small_data_sets() -> dict[str, np.ndarray]:
    """Return seven small data sets, standardised except for digits."""
    standardised = {
        "wine": datasets.load_wine().data,
        "cancer": datasets.load_breast_cancer().data,
        "diabetes": datasets.load_diabetes().data,
        "iris": datasets.load_iris().data,
        "swiss roll": datasets.make_swiss_roll(1000, noise=0.1, random_state=0)[0],
        "S curve": datasets.make_s_curve(1000, noise=0.1, random_state=0)[0],
    }
    digits = {"digits": datasets.load_digits().data}
    return digits | {name: StandardScaler().fit_transform(X) for name, X in standardised.items()}


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the test images of MNIST, float32 in [0, 1]."""
    bunch = fetch_mnist()
    return bunch.data, bunch.data_test


def mnist_split(choose: bool) -> Bunch:
    """Return images and labels as X, y, X_test, y_test, and as ``judged_on`` the name of the test set.

    To make choices, the test set is 10,000 of the training images, and X, y are the other 50,000.
    """
    bunch = fetch_mnist()
    X, y = bunch.data, bunch.target
    if not choose:
        return Bunch(X=X, y=y, X_test=bunch.data_test, y_test=bunch.target_test, judged_on="the test images")
    order = np.random.RandomState(0).permutation(len(X))
    held_out, rest = np.sort(order[:N_CHOICE]), np.sort(order[N_CHOICE:])
    return Bunch(X=X[rest], y=y[rest], X_test=X[held_out], y_test=y[held_out], judged_on="10,000 training images")
