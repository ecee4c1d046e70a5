"""A user's script: `make lint` checks its types, and that mistakes are seen, with mypy --strict. It is not run.

`make test-dist` does the same with the installed wheel.
"""

from typing import Any, assert_type

import numpy as np

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK
from sklearn_ae.losses import Mixed
from sklearn_ae.model_selection import compare_decompositions, one_standard_error, reconstruction_score
from sklearn_ae.penalties import L1
from sklearn_ae.plotting import ComponentsDisplay, LossCurveDisplay


def reduce(X: np.ndarray) -> AutoencoderTransformer:
    """Check the types of an autoencoder's methods and attributes."""
    autoencoder = AutoencoderTransformer(16, code=TopK(4), penalty=L1(0.1), hidden_layer_sizes=(64, 32), random_state=0)
    assert_type(autoencoder.fit(X), AutoencoderTransformer)
    assert_type(autoencoder.fit(X).partial_fit(X), AutoencoderTransformer)
    assert_type(autoencoder.set_output(transform="pandas"), AutoencoderTransformer)
    assert_type(autoencoder.transform(X), Any)  # set_output chooses
    assert_type(autoencoder.score(X), float)
    assert_type(autoencoder.score_samples(X), Any)  # a tensor for a tensor
    assert_type(autoencoder.reconstruction_error(X, per_feature=True), Any)
    assert_type(autoencoder.reconstruction_curve(X), np.ndarray)
    assert_type(autoencoder.sample(3), np.ndarray)
    assert_type(autoencoder.elbo(X), float)
    assert_type(autoencoder.components_, np.ndarray)
    assert_type(autoencoder.explained_variance_ratio_, np.ndarray)
    assert_type(autoencoder.n_iter_, int)
    return autoencoder.truncate(4)


def look(X: np.ndarray) -> None:
    """Compare and draw."""
    autoencoder = AutoencoderTransformer(loss=Mixed([("log_loss", [0, 1])])).fit(X)
    assert_type(reconstruction_score(autoencoder, X), float)
    assert_type(ComponentsDisplay.from_estimator(autoencoder), ComponentsDisplay)
    assert_type(LossCurveDisplay.from_estimator(autoencoder), LossCurveDisplay)
    comparison = compare_decompositions({"autoencoder": autoencoder}, X, n_components=[2, 4])
    comparison.plot("r2")
    print(one_standard_error("n_components")({}))


def mistakes(X: np.ndarray) -> None:
    """Each line is wrong, and mypy says so: an ignore without an error is an error."""
    AutoencoderTransformer(n_component=2)  # type: ignore[call-arg]
    AutoencoderTransformer(2, True)  # type: ignore[call-arg]
    AutoencoderTransformer(max_epochs=2.5)  # type: ignore[arg-type]
    AutoencoderTransformer().fit()  # type: ignore[call-arg]
    AutoencoderTransformer().truncate("half")  # type: ignore[arg-type]
    print(AutoencoderTransformer().score(X).shape)  # type: ignore[attr-defined]
