"""The data sets that the measurements share."""

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from sklearn_ae.datasets import fetch_mnist


def small_data_sets() -> dict[str, np.ndarray]:
    """Return seven small data sets, standardised but for digits."""
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
