"""Output activations: initialized near the data, within their ranges, and by columns."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from sklearn_ae.outputs import OUTPUTS, ByColumns, Clip, Identity, Output, ScaledSoftmax, Sigmoid, Softmax, Softplus

D = 5
FORMULAS = {
    "clip": lambda u: u,  # without a range
    "identity": lambda u: u,
    "scaled_softmax": lambda u: softmax(u / 4, axis=-1),
    "sigmoid": expit,
    "softmax": lambda u: softmax(u, axis=-1),
    "softplus": lambda u: np.logaddexp(0, u),
}
#: Means for which `inverse` is exact, in each of D columns.
MEANS = {
    "clip": [-3.0, 0.0, 0.5, 1e6, -1e6],
    "identity": [-3.0, 0.0, 0.5, 1e6, -1e6],
    "scaled_softmax": [0.01, 0.09, 0.2, 0.3, 0.4],
    "sigmoid": [0.01, 0.2, 0.5, 0.7, 0.99],
    "softmax": [0.01, 0.09, 0.2, 0.3, 0.4],
    "softplus": [0.01, 0.3, 1.0, 40.0, 1e6],
}


def rows(n: int = 20, width: int = D, seed: int = 1, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def output(name: str, n_features: int = D) -> Output:
    return OUTPUTS[name](n_features).double().eval()


def means(name: str) -> torch.Tensor:
    return torch.tensor(MEANS[name], dtype=torch.float64)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_output_is_its_formula(name, scale):
    u = rows(scale=scale)
    np.testing.assert_allclose(output(name)(u).numpy(), FORMULAS[name](u.numpy()), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_outputs_lie_in_the_range_of_the_data(name, scale):
    low, high = output(name).data_range
    outputs = output(name)(rows(scale=scale))
    assert low <= outputs.min() <= outputs.max() <= high


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_inverse_are_the_means(name):
    mean = means(name)
    received = output(name).encoder_input(mean)
    torch.testing.assert_close(output(name)(output(name).inverse(received)), mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "mean", "near"),
    [("sigmoid", [0.0, 1.0], [0.01, 0.99]), ("softplus", [0.0, 1e-9], [0.01, 0.01]), ("softmax", [0.0, 1.0], None)],
)
def test_means_on_the_edge_of_the_range_are_moved_into_it_by_a_hundredth(name, mean, near):
    found = output(name, 2)(output(name, 2).inverse(torch.tensor(mean).double()))
    torch.testing.assert_close(found, torch.tensor(near or [0.01 / 1.01, 1 / 1.01]).double())


def steepest(name: str, u: torch.Tensor) -> torch.Tensor:
    """Return the derivative of each output with respect to its own input."""
    return torch.autograd.functional.jacobian(output(name), u).diagonal()


@pytest.mark.parametrize("name", ["clip", "identity", "softplus"])
def test_slope_is_the_derivative_at_the_mean(name):
    mean = means(name).clamp_min(0.25) if name == "softplus" else means(name)
    torch.testing.assert_close(output(name).slope(mean), steepest(name, output(name).inverse(mean)))


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_slope_is_the_steepest_one_if_outputs_saturate(name):
    slope = output(name).slope(means(name))
    torch.testing.assert_close(slope, torch.full((D,), 0.25).double())
    assert (steepest(name, output(name).inverse(means(name))) <= slope + 1e-12).all()
    at_half = torch.tensor([0.5, 0.5]).double()
    in_pairs = torch.autograd.functional.jacobian(output(name, 2), output(name, 2).inverse(at_half)).diagonal()
    torch.testing.assert_close(in_pairs, output(name, 2).slope(at_half))


def test_slope_of_rare_counts_does_not_vanish():
    slope = output("softplus").slope(torch.tensor([0.0, 1e-9, 0.25]).double())
    torch.testing.assert_close(slope, torch.full((3,), -np.expm1(-0.25)).double())


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_for_a_range_of_data_are_unscaled(name):
    assert output(name).unscaled is bool(np.isfinite(output(name).data_range).any())


@pytest.mark.parametrize("name", OUTPUTS)
def test_only_clip_uses_a_range(name):
    changed = output(name)
    changed.set_range(torch.full((D,), -0.1), torch.full((D,), 0.1))
    assert changed.bounded is (name == "clip")
    assert torch.equal(changed(rows()), output(name)(rows())) is (name != "clip")


def scaled_softmax(total: float | None = None, mean_total: float = 20.0) -> ScaledSoftmax:
    scaled = ScaledSoftmax(3, total).double()
    scaled.set_mean(torch.full((3,), mean_total / 3, dtype=torch.float64))
    return scaled


SHARES = torch.tensor([[0.2, 0.3, 0.5]]).double()
SHARES_U = SHARES.log() / ScaledSoftmax.unit


class TestScaledSoftmax:
    @pytest.mark.parametrize(("total", "expected"), [(None, 20.0), (1.0, 1.0), (1e4, 1e4)])
    def test_a_code_is_decoded_with_the_mean_or_the_given_total(self, total, expected):
        torch.testing.assert_close(scaled_softmax(total)(SHARES_U), expected * SHARES)

    @pytest.mark.parametrize("x", [[1.0, 2.0, 7.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    def test_samples_are_reconstructed_with_their_totals(self, x):
        reconstruction = scaled_softmax(1.0).reconstruct(SHARES_U, torch.tensor([x]).double())
        torch.testing.assert_close(reconstruction, sum(x) * SHARES)

    @pytest.mark.parametrize(
        ("observed", "total"),
        [([True, True, True], 10), ([True, True, False], 6), ([False, False, True], 14), ([False] * 3, 20)],
    )
    def test_totals_of_samples_with_missing_entries_are_those_of_the_observed_over_their_shares(self, observed, total):
        x = torch.tensor([[1.0, 2.0, 7.0]]).double()
        reconstruction = scaled_softmax().reconstruct(SHARES_U, x, torch.tensor([observed]))
        torch.testing.assert_close(reconstruction, total * SHARES)

    @pytest.mark.parametrize("x", [[1.0, 2.0, 7.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [-1e-9, 0.0, 3.0]])
    def test_the_encoder_receives_log1p_at_the_mean_total(self, x):
        positive = np.clip(x, 0, None)
        expected = np.log1p(20 * positive / (positive.sum() or 1))
        received = scaled_softmax(total=1.0).encoder_input(torch.tensor([x]).double())
        np.testing.assert_allclose(received[0], expected, rtol=1e-12)


def clip_to(low: list[float], high: list[float]) -> Clip:
    clip = Clip(len(low)).double()
    clip.set_range(torch.tensor(low).double(), torch.tensor(high).double())
    return clip


def test_clip_is_hard_in_inference_and_leaks_its_slope_in_training():
    clip = clip_to([0, -1], [2, 1])
    x = torch.tensor([[-1.0, 3.0], [0.5, -0.5], [2.0, 1.0], [4.0, -3.0]], dtype=torch.float64, requires_grad=True)
    expected = torch.tensor([[0, 1], [0.5, -0.5], [2, 1], [2, -1]], dtype=torch.float64)
    torch.testing.assert_close(clip.eval()(x), expected, rtol=0, atol=0)
    y = clip.train()(x)
    excess = x - expected
    torch.testing.assert_close(y, expected + 0.02 * excess, rtol=1e-14, atol=0)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 0.02 + 0.98 * (excess == 0).double(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("training", [False, True])
def test_clip_without_a_range_is_the_identity(training):
    x = 1e30 * rows()
    torch.testing.assert_close(Clip(D).train(training)(x), x, rtol=0, atol=0)


def test_projection_onto_a_range_that_holds_the_data_never_adds_error():
    x, noise = rows(200), rows(200, seed=2)
    clip = clip_to(x.amin(0).tolist(), x.amax(0).tolist()).eval()
    assert ((x - clip(x + noise)).abs() <= noise.abs() + 1e-15).all()


#: Columns out of order: three categories, a number, a binary, two counts.
COLUMNS = [[4, 0, 6], [2], [5], [1, 3]]
FUNCTIONS = [lambda u: torch.softmax(u, 1), lambda u: u, torch.sigmoid, torch.nn.functional.softplus]


def by_columns() -> ByColumns:
    return ByColumns([Softmax(3), Identity(1), Sigmoid(1), Softplus(2)], COLUMNS).double().eval()


def test_each_set_of_columns_has_its_activation():
    u = rows(width=7)
    outputs = by_columns()(u)
    assert outputs.shape == u.shape
    for function, columns in zip(FUNCTIONS, COLUMNS, strict=True):
        torch.testing.assert_close(outputs[:, columns], function(u[:, columns]), rtol=0, atol=0)
    torch.testing.assert_close(by_columns()(u[0]), outputs[0])


def test_the_order_in_which_sets_of_columns_are_named_does_not_matter():
    other = ByColumns([Softplus(2), Sigmoid(1), Softmax(3), Identity(1)], [[3, 1], [5], [0, 4, 6], [2]])
    u = rows(width=7)
    torch.testing.assert_close(other(u), by_columns()(u))
    assert torch.equal(other.unscaled, by_columns().unscaled)


def test_sets_with_the_same_activation_are_that_activation():
    u, split = rows(), ByColumns([Sigmoid(2), Sigmoid(3)], [[3, 1], [0, 2, 4]])
    torch.testing.assert_close(split(u), torch.sigmoid(u), rtol=0, atol=0)
    assert split.unscaled.all()


def test_each_column_has_its_range_and_scaling():
    out = by_columns()
    assert out.n_features == 7
    assert out.unscaled.tolist() == [True, True, False, True, True, True, True]
    low, high = out.data_range
    assert low.tolist() == [0, 0, -np.inf, 0, 0, 0, 0]
    assert high.tolist() == [1, np.inf, np.inf, np.inf, 1, 1, 1]
    assert not out.bounded


def test_inverse_and_slope_are_gathered_as_outputs_are():
    mean = torch.tensor([0.2, 3.0, -7.0, 0.5, 0.3, 0.9, 0.5]).double()
    out = by_columns()
    torch.testing.assert_close(out(out.inverse(mean)), mean)
    expected = [0.25, -np.expm1(-3), 1, -np.expm1(-0.5), 0.25, 0.25, 0.25]
    torch.testing.assert_close(out.slope(mean), torch.tensor(expected).double())
