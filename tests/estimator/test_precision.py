"""Mixed precision: the network's layers multiply bfloat16 in training, everything else stays float32."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from skorch.callbacks import Callback
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import CODES
from sklearn_ae.losses import LOSSES
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder
from sklearn_ae.penalties import PENALTIES

FRACTIONS = np.random.RandomState(0).dirichlet(np.ones(6), size=60)  # fit every loss


class Spy(Callback):
    """Records the precision of layer outputs, in training and evaluation, of gradients and of the optimizer's state."""

    def on_train_begin(self, net, **kwargs):
        self.of_training, self.of_evaluation, self.of_objective = set(), set(), set()
        for module in (net.module_, net.candidate):
            for layer in module.modules():
                if isinstance(layer, (nn.Linear, nn.Conv2d)):
                    layer.register_forward_hook(self.note)

    def note(self, layer, x, y):
        (self.of_training if layer.training else self.of_evaluation).add(y.dtype)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.of_objective |= {parameter.grad.dtype for _, parameter in named_parameters}

    def on_epoch_end(self, net, **kwargs):
        self.of_objective |= {value.dtype for state in net.optimizer_.state.values() for value in state.values()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("module", [None, partial(ConvAutoencoder, channels=(2,))], ids=["dense", "convolutions"])
def test_layers_multiply_in_the_precision_only_in_training(precision, module):
    spy = Spy()
    settings = {"module": module, "precision": precision, "callbacks": [spy], "max_epochs": 1}
    model = AutoencoderTransformer(4, **settings, random_state=0).fit(load_digits().data[:100])
    assert spy.of_training == {getattr(torch, precision)}
    assert spy.of_evaluation == spy.of_objective == {torch.float32}
    assert {parameter.dtype for parameter in model.module_.parameters()} == {torch.float32}


def test_bfloat16_scores_close_to_float32_and_above_pca():
    X = load_digits().data
    train, held_out = X[:1400], X[1400:]
    of = {
        precision: AutoencoderTransformer(10, precision=precision, random_state=0).fit(train)
        for precision in ("float32", "bfloat16")
    }
    scores = {precision: model.score(held_out) for precision, model in of.items()}
    assert abs(scores["bfloat16"] - scores["float32"]) < 0.005
    assert scores["bfloat16"] > reconstruction_score(PCA(10).fit(train), held_out) + 0.1
    assert not np.array_equal(*(model.loss_curve_ for model in of.values()))


def test_the_seed_determines_every_bit():
    X = load_digits().data[:200]
    one, other = (
        AutoencoderTransformer(4, precision="bfloat16", max_epochs=3, random_state=0).fit_transform(X) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


CASES = [{"code": name} for name in CODES] + [{"loss": name} for name in LOSSES]
CASES += [{"penalty": name, "code": "sigmoid"} for name in PENALTIES] + [{"ordered": True, "code_dropout": 0.2}]
CASES += [{"module": TiedAutoencoder}, {"output_activation": "clip"}]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_every_building_block_trains_in_bfloat16(params):
    of = [
        AutoencoderTransformer(2, **params, precision=precision, max_epochs=3, lr=3e-3, random_state=0).fit(FRACTIONS)
        for precision in ("float32", "bfloat16")
    ]
    assert np.isfinite(of[1].loss_curve_).all()
    np.testing.assert_allclose(of[1].loss_curve_, of[0].loss_curve_, rtol=0.05, atol=0.05)
