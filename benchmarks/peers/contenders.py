"""The contenders: each trains on the data given, and reports its reconstruction to the clock as often as it can.

Settings are those of each package's documentation, and networks are d-128-k-128-d. The
autoencoders get data that is centred and scaled as a whole, the non-negative factorisations the same data shifted.
"""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import (
    NMF,
    PCA,
    IncrementalPCA,
    MiniBatchDictionaryLearning,
    MiniBatchNMF,
)
from sklearn.neural_network import MLPRegressor
from torch import nn

from benchmarks.peers.clock import Clock

HIDDEN = 128
MOST_EPOCHS = 1000
Array = np.ndarray
#: A function that maps samples to codes after training; None if a contender has none.
Encoder = Callable[[Array], Any] | None


def autoencoder(X: Array, k: int, clock: Clock) -> Encoder:
    """sklearn-ae with its defaults; what follows training counts at every point, of which the first is the start."""
    from skorch.callbacks import Callback

    from sklearn_ae import AutoencoderTransformer

    class Report(Callback):
        def on_train_begin(self, net, **kwargs):
            self.on_epoch_end(net)

        def on_epoch_end(self, net, **kwargs):
            with clock.stopped():
                module = deepcopy(net.module_).eval()
                module.load_state_dict(net.keep_best.chosen[1])
            net.stop_ |= clock.point(lambda X: reconstruction_in_data_units(net, module, X))

    model = AutoencoderTransformer(k, callbacks=[Report()], random_state=0)
    clock.start()
    model.fit(X)
    clock.add_the_end()
    return model.transform


def reconstruction_in_data_units(net: Any, module: nn.Module, X: Array) -> Array:
    """Return the reconstruction by a network that is still in training."""
    with torch.no_grad():
        z = net.scaling_.transform(X, torch.float32)
        return net.scaling_.inverse_transform(module(z)).numpy()


def hand_written(X: Array, k: int, clock: Clock) -> Encoder:
    """A torch loop as in tutorials: Adam, 1e-3, batches of 256, ReLU."""
    net = plain_network(X.shape[1], k)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rows = torch.from_numpy(X)
    for _ in range(MOST_EPOCHS):
        for index in torch.randperm(len(rows)).split(256):
            x = rows[index]
            optimizer.zero_grad()
            F.mse_loss(net(x), x).backward()
            optimizer.step()
        if clock.point(through(net)):
            break
    return through(net[:3])


def skorch_out_of_the_box(X: Array, k: int, clock: Clock) -> Encoder:
    """skorch's NeuralNet with its own iterator; Adam, 1e-3, its default batches of 128."""
    import skorch
    from skorch.callbacks import Callback

    class Report(Callback):
        def on_epoch_end(self, net, **kwargs):
            if clock.point(through(net.module_)):
                raise KeyboardInterrupt

    clock.start()
    module = plain_network(X.shape[1], k)
    net = skorch.NeuralNet(
        module,
        nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=MOST_EPOCHS,
        verbose=0,
        train_split=None,
        callbacks=[Report()],
    )
    with suppress(KeyboardInterrupt):
        net.fit(X, X)
    return through(module[:3])


def keras_autoencoder(X: Array, k: int, clock: Clock) -> Encoder:
    """Keras on TensorFlow: Adam, batches of 256, ReLU, as in its guide to autoencoders."""
    import keras

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if clock.point(lambda X: model(X).numpy()):
                self.model.stop_training = True

    clock.start()
    keras.utils.set_random_seed(0)
    given = keras.Input((X.shape[1],))
    code = keras.layers.Dense(k)(keras.layers.Dense(HIDDEN, "relu")(given))
    output = keras.layers.Dense(X.shape[1])(keras.layers.Dense(HIDDEN, "relu")(code))
    model, encoder = keras.Model(given, output), keras.Model(given, code)
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, X, batch_size=256, epochs=MOST_EPOCHS, shuffle=True, verbose=0, callbacks=[Report()])
    return lambda X: encoder.predict(X, verbose=0)


def mlp_regressor(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's MLPRegressor from X to X, one pass at a time; Adam, 1e-3, batches of 200."""
    model = MLPRegressor(hidden_layer_sizes=(HIDDEN, k, HIDDEN), random_state=0)
    for _ in range(MOST_EPOCHS):
        model.partial_fit(X, X)
        if clock.point(model.predict):
            break
    return None


def pyod_autoencoder(X: Array, k: int, clock: Clock) -> Encoder:
    """PyOD's AutoEncoder, a fit for each number of epochs; its defaults, except for the network's widths."""
    from pyod.models.auto_encoder import AutoEncoder

    for n_epochs in doubling():
        clock.start()
        model = AutoEncoder(hidden_neuron_list=[HIDDEN, k], epoch_num=n_epochs, verbose=0, device="cpu").fit(X)
        mean, std = np.asarray(model.X_mean), np.asarray(model.X_std)

        def reconstruct(rows: Array, model: Any = model, mean: Array = mean, std: Array = std) -> Array:
            model.model.eval()
            scaled = ((rows - mean) / (std + 1e-8)).astype(np.float32)
            with torch.no_grad():
                return model.model(torch.from_numpy(scaled)).numpy() * (std + 1e-8) + mean

        if clock.point(reconstruct):
            break
    return None


def encdr_autoencoder(X: Array, k: int, clock: Clock) -> Encoder:
    """encdr on Lightning, a fit for each number of epochs; its defaults, except for the network's widths."""
    from encdr import ENCDR

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    for n_epochs in doubling():
        clock.start()
        model = ENCDR([HIDDEN], k, max_epochs=n_epochs, random_state=0, trainer_kwargs=quiet).fit(X)
        if clock.point(model.predict):
            break
    return model.transform


def pca(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's PCA."""
    return once(PCA(k, random_state=0), X, clock)


def incremental_pca(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's IncrementalPCA."""
    return once(IncrementalPCA(k), X, clock)


def nmf(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's NMF, a fit for each number of iterations."""
    return by_iterations(lambda n: NMF(k, max_iter=n, tol=0, random_state=0), X, clock, shift=True)


def minibatch_nmf(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's MiniBatchNMF, a fit for each number of passes."""
    return by_iterations(lambda n: MiniBatchNMF(k, max_iter=n, random_state=0), X, clock, shift=True)


def minibatch_dictionary(X: Array, k: int, clock: Clock) -> Encoder:
    """scikit-learn's MiniBatchDictionaryLearning, a fit for each number of passes; dense codes."""
    return by_iterations(
        lambda n: MiniBatchDictionaryLearning(
            k, max_iter=n, transform_algorithm="omp", transform_n_nonzero_coefs=k, random_state=0
        ),
        X,
        clock,
    )


def plain_network(d: int, k: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(d, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, k)),
        *(nn.Linear(k, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, d)),
    )


def warm_up() -> None:
    """Take a step of training: the first one in a process takes a second."""
    net = plain_network(8, 2)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    F.mse_loss(net(torch.zeros(4, 8)), torch.ones(4, 8)).backward()
    optimizer.step()


def through(net: nn.Module) -> Callable[[Array], Array]:
    def call(X: Array) -> Array:
        with torch.no_grad():
            return net(torch.from_numpy(X)).numpy()

    return call


def doubling() -> Any:
    return (2**i for i in range(11))


def once(model: Any, X: Array, clock: Clock) -> Encoder:
    model.fit(X)
    clock.point(lambda X: model.inverse_transform(model.transform(X)))
    return model.transform


def by_iterations(make: Callable[[int], Any], X: Array, clock: Clock, shift: bool = False) -> Encoder:
    floor = X.min() if shift else 0

    def given(rows: Array) -> Array:
        return np.maximum(rows - floor, 0) if shift else rows

    shifted = given(X)
    for n_iterations in doubling():
        clock.start()
        model = make(n_iterations).fit(shifted)

        def encode(rows: Array, model: Any = model) -> Array:
            return model.transform(given(rows))

        def reconstruct(rows: Array, model: Any = model, encode: Any = encode) -> Array:
            return model.inverse_transform(encode(rows)) + floor

        if clock.point(reconstruct):
            break
    return encode


CONTENDERS: dict[str, Callable[[Array, int, Clock], Encoder]] = {
    "sklearn-ae": autoencoder,
    "hand-written torch": hand_written,
    "skorch": skorch_out_of_the_box,
    "Keras": keras_autoencoder,
    "MLPRegressor": mlp_regressor,
    "PyOD": pyod_autoencoder,
    "encdr": encdr_autoencoder,
    "PCA": pca,
    "IncrementalPCA": incremental_pca,
    "NMF": nmf,
    "MiniBatchNMF": minibatch_nmf,
    "MiniBatchDictionaryLearning": minibatch_dictionary,
}
