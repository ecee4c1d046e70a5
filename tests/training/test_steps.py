"""Training steps: their samples, corruption, progress, learning rate and objective."""

import pickle

import numpy as np
import pytest
import torch
from helpers import net_of, random_network, same_bits
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.training_rows import TrainingRows, n_batches
from sklearn_ae._model.weights import weights_of
from sklearn_ae._training.callbacks import KeepBest
from sklearn_ae._training.net import Objective, train_one_pass, unchanged_on_error
from sklearn_ae._training.optimizers import LearningRule, WeightAverage
from sklearn_ae.base import DataBounds
from sklearn_ae.codes import Gaussian, Identity, TopK
from sklearn_ae.corruptions import Corruption, GaussianNoise, Masking
from sklearn_ae.losses import SquaredError
from sklearn_ae.penalties import L1, Orthogonal

D, N = 4, 53


@pytest.fixture
def data_bounds() -> DataBounds:
    zero, mean, low, high = (torch.full((D,), value) for value in (-2.0, 0.25, -2.0, 2.0))
    return DataBounds(zero, mean, low, high, spread=1.0)


class Watch(Callback):
    """Records the progress and learning rate of each training step, and the weights at the end of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.progress, self.rates, self.candidates = [], [], [weights_of(net.candidate)]

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.progress.append(net.progress_)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])

    def on_epoch_end(self, net, **kwargs):
        self.candidates.append(weights_of(net.candidate))


class Poison(Callback):
    """Sets weights to NaN before the first step of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            net.module_.network.encoder_affine.weight.data.fill_(torch.nan)


class Interrupt(Callback):
    """Raises KeyboardInterrupt after the second step."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history[-1]["batches"]) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("index", [None, torch.tensor([5, 0, 7])])
def test_samples_are_their_own_target(index, X):
    rows = TrainingRows(X, index)
    assert len(rows) == (N if index is None else 3)
    x, target = rows[1]
    assert torch.equal(x, X[1 if index is None else 0])
    assert torch.equal(x, target)


@pytest.mark.parametrize("index", [None, torch.arange(0, 40, 3)])
@pytest.mark.parametrize("batch_size", [1, 8, 53, 1000])
def test_an_epoch_contains_every_sample_once(batch_size, index):
    data = torch.arange(53.0)[:, None]
    generator = torch.Generator().manual_seed(0)
    expected = torch.arange(53) if index is None else index
    epochs = [list(TrainingRows(data, index).batches(batch_size, generator)) for _ in range(2)]
    for epoch in epochs:
        assert torch.cat(epoch)[:, 0].sort().values.tolist() == expected.tolist()
        assert all(len(x) == batch_size for x in epoch[:-1])
        assert len(epoch) == -(-len(expected) // batch_size)
    assert torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 8, 16, 32])
@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 33, 49, 65])
def test_no_batch_has_a_single_sample_unless_all_have(n, size):
    rows = TrainingRows(torch.arange(float(n))[:, None])
    batches = list(rows.batches(size, torch.Generator().manual_seed(0)))
    assert torch.cat(batches)[:, 0].sort().values.tolist() == list(range(n))
    assert all(len(batch) > 1 for batch in batches) or n == 1 or size == 1
    assert all(len(batch) == size for batch in batches[:-1])
    assert len(batches[-1]) <= size + (size > 1)
    assert len(batches) == n_batches(n, size)


def test_the_seed_determines_the_order_and_without_one_samples_are_not_shuffled(X):
    index = torch.arange(0, 50, 2)
    orders = [
        torch.cat(list(TrainingRows(X, index).batches(8, generator)))
        for generator in (*(torch.Generator().manual_seed(seed) for seed in (0, 0, 1)), None)
    ]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[3], X[index])


@pytest.mark.parametrize("n_entries", [1, 4, 784])
def test_the_objective_adds_terms_to_the_summed_loss_of_a_sample(n_entries, X):
    step = random_network().step(X)
    terms = [L1(0.3), Orthogonal(2.0)]
    by_sample = SquaredError()(step) * n_entries + sum(term(step) for term in terms)
    torch.testing.assert_close(Objective(SquaredError(), terms, n_entries)(step), by_sample / n_entries)
    torch.testing.assert_close(Objective(SquaredError(), [], n_entries)(step), SquaredError()(step))


@pytest.mark.parametrize("code", [None, Gaussian(warm_up=0.0)], ids=str)
@pytest.mark.parametrize("corruption", [None, Masking(0.3), GaussianNoise(0.5)], ids=str)
def test_training_is_the_plain_loop_with_terms_and_corruption(corruption, code, X, data_bounds):
    by_net, by_hand = random_network(code or "identity"), random_network(code or "identity")
    objective = Objective(SquaredError(), [L1(0.1), *by_hand.code.terms], D)
    net_of(by_net, criterion=objective, corruption=corruption, data_bounds=data_bounds).partial_fit(TrainingRows(X))
    generator, optimizer = (
        torch.Generator().manual_seed(7),
        torch.optim.AdamW(by_hand.parameters(), 0.01, eps=1e-5, fused=True),
    )
    optimizer.param_groups[0]["weight_decay"] = 0.0
    for _ in range(3):
        for batch in torch.randperm(N, generator=generator).split(8):
            optimizer.zero_grad()
            x = X[batch] if corruption is None else corruption(X[batch], data_bounds, generator)
            objective(by_hand.step(x, X[batch], generator=generator)).backward()
            torch.nn.utils.clip_grad_norm_(by_hand.parameters(), LearningRule().gradient_norm)
            optimizer.step()
    assert same_bits(weights_of(by_net), weights_of(by_hand))


def test_validation_corrupts_for_the_objective_but_not_for_r2(X, split, data_bounds):
    module, keep_best = random_network(), KeepBest(9, 0.0)
    settings = {"corruption": GaussianNoise(2.0), "data_bounds": data_bounds, "keep_best": keep_best, "lr": 1e-30}
    net = net_of(module, train_split=split, **settings).partial_fit(TrainingRows(X))
    valid = X[split.valid]
    generator = torch.Generator().manual_seed(7)
    corrupted = valid + 2 * torch.empty_like(valid).normal_(generator=generator)
    assert len(set(net.history[:, "valid_loss"])) == 1
    assert net.history[0, "valid_loss"] == pytest.approx((valid - module(corrupted)).square().mean().item())
    score = 1 - (valid - module(valid)).square().sum() / valid.square().sum()
    np.testing.assert_allclose(keep_best.validation_scores_, [score.item()] * 4, rtol=1e-5)


def test_r2_is_in_units_of_the_scale_in_unscaled_columns_too(X, split):
    unscaled, mean, keep_best = np.array([False, True, False, True]), np.array([0.5, -1, 0, 2.0]), KeepBest(9, 0.0)
    settings = {"scaling": Scaling(mean, 3.0, unscaled), "keep_best": keep_best, "max_epochs": 0}
    weights, centre = torch.tensor([1, 1 / 3, 1, 1 / 3]), torch.tensor([0, -1, 0, 2.0])
    module = random_network().eval()
    net_of(module, train_split=split, **settings).partial_fit(TrainingRows(X))
    valid = X[split.valid]
    error, variance = ((part * weights).square().sum() for part in (valid - module(valid), valid - centre))
    np.testing.assert_allclose(keep_best.validation_scores_, [(1 - error / variance).item()], rtol=1e-6)


@pytest.mark.parametrize("lr_schedule", ["constant", "linear"])
@pytest.mark.parametrize("validated", [True, False])
def test_progress_is_the_fraction_of_steps_done(validated, lr_schedule, X, split):
    watch = Watch()
    settings = {"max_epochs": 6, "train_split": split if validated else None, "lr_schedule": lr_schedule}
    net = net_of(random_network(), keep_best=KeepBest(99, 0.0), callbacks=[watch], **settings)
    n_steps = 6 * (5 if validated else 7)
    for _ in range(2):
        net.partial_fit(TrainingRows(X))
        np.testing.assert_allclose(watch.progress, np.arange(n_steps) / n_steps, atol=1e-12)
        assert net.progress_ == pytest.approx(1, abs=1e-12)


def test_the_progress_of_a_single_pass_is_one(X):
    watch = Watch()
    net = net_of(random_network(), callbacks=[watch], max_epochs=1)
    train_one_pass(net, X)
    assert watch.progress == [1.0] * 7


class ProgressRecorder(Identity):
    """Records the progress of training steps."""

    progress: list[float] = []  # noqa: RUF012

    def in_training(self, a, progress, generator):
        self.progress.append(progress)
        return self(a)


def test_codes_get_the_progress_of_fit_and_one_in_partial_fit(X):
    ProgressRecorder.progress.clear()
    autoencoder = AutoencoderTransformer(code=ProgressRecorder(), max_epochs=5, batch_size=10, random_state=0).fit(
        X.numpy()
    )
    trained = [progress for progress in ProgressRecorder.progress if progress < 1]
    assert trained == sorted(trained)
    np.testing.assert_allclose(trained, np.arange(25) / 25, atol=1e-12)
    assert set(ProgressRecorder.progress) - set(trained) == {1.0}
    for again in (
        autoencoder,
        pickle.loads(pickle.dumps(autoencoder)),
        AutoencoderTransformer(code=ProgressRecorder()),
    ):
        ProgressRecorder.progress.clear()
        again.partial_fit(X.numpy()).partial_fit(X.numpy())
        assert set(ProgressRecorder.progress) == {1.0}


def test_the_linear_schedule_rises_over_a_fifth_and_falls_to_zero(X):
    watch = Watch()
    settings = {"max_epochs": 40, "batch_size": 4, "lr_schedule": "linear", "lr": 0.02, "callbacks": [watch]}
    net = net_of(random_network(), keep_best=KeepBest(99, 0.0), **settings)
    steps, n = np.arange(40 * 13), 40 * 13  # of 53 samples the last batch has five
    for _ in range(2):
        net.partial_fit(TrainingRows(X))
        expected = 0.02 * np.minimum(1, (steps + 1) / (0.2 * n)) * (1 - steps / n)
        np.testing.assert_allclose(watch.rates, expected, rtol=1e-9)
    assert (np.diff(watch.rates)[:103] > 0).all()
    assert (np.diff(watch.rates)[104:] < 0).all()
    assert watch.rates[-1] < 0.02 / 500
    assert 0.79 * 0.02 < max(watch.rates) <= 0.8 * 0.02 + 1e-4


def test_a_short_schedule_rises_for_four_of_its_21_steps(X):
    watch = Watch()
    net_of(random_network(), keep_best=KeepBest(9, 0.0), lr_schedule="linear", callbacks=[watch]).partial_fit(
        TrainingRows(X)
    )
    rise = np.minimum(1, np.arange(1, 22) / 4.2)
    np.testing.assert_allclose(watch.rates, 0.01 * rise * (1 - np.arange(21) / 21))


def test_a_schedule_continues_at_a_tenth_after_a_nonfinite_loss(X):
    watch = Watch()
    settings = {"max_epochs": 5, "lr_schedule": "linear", "callbacks": [Poison(3), watch]}
    net_of(random_network(), keep_best=KeepBest(99, 0.0), **settings).partial_fit(TrainingRows(X))
    remaining = np.minimum(1, np.arange(1, 36) / 7) * (1 - np.arange(35) / 35)
    np.testing.assert_allclose(watch.rates, 0.01 * remaining * np.where(np.arange(35) < 21, 1, 0.1))


def test_a_constant_rate_does_not_change(X):
    watch = Watch()
    net_of(random_network(), keep_best=KeepBest(9, 0.0), callbacks=[watch]).partial_fit(TrainingRows(X))
    assert set(watch.rates) == {0.01}


@pytest.mark.parametrize("average_window", [0, 20])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize(("annealed_until", "first"), [(0.0, 1), (0.25, 3), (0.55, 6), (0.99, 10)])
def test_epochs_during_annealing_do_not_count(annealed_until, first, validated, average_window, X, split):
    watch, keep_best, module = Watch(), KeepBest(99, 0.0, annealed_until), random_network()
    settings = {"max_epochs": 10, "train_split": split if validated else None, "average_window": average_window}
    net = net_of(module, lr=0.3, keep_best=keep_best, callbacks=[watch], **settings)
    start, _ = net.evaluate(TrainingRows(X).select(split.valid) if validated else TrainingRows(X))
    net.partial_fit(TrainingRows(X))
    objectives = [start, *net.history[:, "valid_loss" if validated else "train_loss"]]
    best = min([0, *range(first, 11)], key=objectives.__getitem__)
    assert keep_best.epoch_ == best
    assert same_bits(weights_of(module), watch.candidates[best])
    assert len(net.history) == 10
    if validated:
        assert len(keep_best.validation_scores_) == 11


class InterruptIn(Callback):
    """Raises KeyboardInterrupt after the first step of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("average_window", [0, 20])
@pytest.mark.parametrize(("epoch", "kept"), [(1, 0), (3, 2), (5, 4)])
def test_training_interrupted_during_annealing_keeps_the_last_complete_epoch(epoch, kept, average_window, X, split):
    watch, keep_best, module = Watch(), KeepBest(99, 0.0, 0.55), random_network()
    settings = {"max_epochs": 10, "train_split": split, "average_window": average_window, "lr": 1e-6}
    net_of(module, keep_best=keep_best, callbacks=[watch, InterruptIn(epoch)], **settings).partial_fit(TrainingRows(X))
    assert keep_best.epoch_ == kept == len(keep_best.validation_scores_) - 1
    assert same_bits(weights_of(module), watch.candidates[kept])


def test_a_nonfinite_loss_during_annealing_restores_the_previous_epoch(X):
    watch, keep_best = Watch(), KeepBest(99, 0.0, 0.95)
    net = net_of(random_network(), max_epochs=5, keep_best=keep_best, callbacks=[Poison(3), watch])
    net.partial_fit(TrainingRows(X))
    assert same_bits(watch.candidates[3], watch.candidates[2])
    assert not same_bits(watch.candidates[3], watch.candidates[0])


@pytest.mark.parametrize(("annealed_until", "n_epochs"), [(0.0, 2), (0.25, 4), (0.55, 7), (0.99, 10)])
def test_patience_begins_after_annealing(annealed_until, n_epochs, X, split):
    net = net_of(random_network(), max_epochs=10, keep_best=KeepBest(2, 1e9, annealed_until), train_split=split)
    assert len(net.partial_fit(TrainingRows(X)).history) == n_epochs


@pytest.mark.parametrize(
    ("code", "annealed_until"),
    [("identity", 0), ("gaussian", 0.1), (Gaussian(warm_up=0.7), 0.7), (TopK(1, anneal=0.3), 0.3)],
)
def test_early_stopping_waits_for_the_annealing_of_the_code(code, annealed_until, X):
    settings = {"max_epochs": 20, "n_iter_no_change": 1, "tol": 1e9, "random_state": 0, "lr_schedule": "constant"}
    autoencoder = AutoencoderTransformer(code=code, **settings)
    assert autoencoder.fit(X.numpy()).n_iter_ in (max(1, round(20 * annealed_until)), round(20 * annealed_until) + 1)


class Normalized(nn.Module):
    """A network with buffers that training changes."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.BatchNorm1d(D), nn.Linear(D, 2))
        self.decode = nn.Linear(2, D)


class NormalizedLayers(nn.Module):
    """A network that normalizes its hidden layers over a batch."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, n_components))
        self.decode = nn.Sequential(nn.Linear(n_components, 8), nn.BatchNorm1d(8), nn.Linear(8, n_features))


@pytest.mark.parametrize(
    "as_input", [np.asarray, csr_array, lambda X: np.array_split(X, 3)], ids=["dense", "sparse", "chunks"]
)
@pytest.mark.parametrize(
    ("n", "params"), [(37, {}), (55, {"batch_size": 16}), (73, {}), (9, {"batch_size": 8, "early_stopping": False})]
)
def test_a_batch_that_is_left_with_one_sample_joins_the_one_before(n, params, as_input, X):
    rows = np.resize(X.numpy(), (n, D))
    with config_context(working_memory=0):
        model = AutoencoderTransformer(2, module=NormalizedLayers, max_epochs=2, random_state=0, **params)
        assert np.isfinite(model.fit(as_input(rows)).loss_curve_).all()
        assert model.net_.progress_ == pytest.approx(1)
        clone(model).partial_fit(as_input(rows[:33]))


def test_the_average_has_the_current_buffers():
    module = random_network(module=Normalized()).train()
    average = WeightAverage(module, 400)
    for _ in range(4):
        module(5 + torch.randn(10, D, generator=torch.Generator().manual_seed(0)))
        average.count_step()
    for taken, present in zip(average.module.buffers(), module.buffers(), strict=True):
        assert torch.equal(taken, present)
    assert (average.module.network.encode[0].running_mean > 1).all()


def test_a_pass_returns_its_loss_and_leaves_the_module_in_evaluation_mode(X):
    by_pass, by_net = net_of(random_network(), max_epochs=1), net_of(random_network(), max_epochs=1)
    assert train_one_pass(by_pass, X) == by_net.partial_fit(TrainingRows(X)).history[-1, "train_loss"]
    assert same_bits(weights_of(by_pass.module_), weights_of(by_net.module_))
    assert not by_pass.module_.training


def test_a_failed_pass_restores_the_weights(X):
    net = net_of(random_network(), max_epochs=1)
    train_one_pass(net, X)
    before = weights_of(net.module_)
    net.set_params(lr=1e38)
    message = r"stopped being finite with lr=1e\+38\. Lower lr"
    with pytest.raises(ValueError, match=message), unchanged_on_error(net):
        train_one_pass(net, X)
    assert same_bits(weights_of(net.module_), before)
    assert not net.module_.training


def test_an_interrupted_pass_warns_and_keeps_its_weights(X):
    net = net_of(random_network(), max_epochs=1, callbacks=[Interrupt()])
    before = weights_of(net.module_)
    with pytest.warns(UserWarning, match="interrupted before the end of its pass"):
        train_one_pass(net, X)
    assert not same_bits(weights_of(net.module_), before)


class FailingCorruption(Corruption):
    """A corruption that must not be called."""

    def __call__(self, x, data_bounds, generator):
        raise AssertionError


def test_transforming_and_scoring_corrupt_nothing(X):
    given = X.numpy()
    autoencoder = AutoencoderTransformer(corruption=0.5, max_epochs=2, random_state=0).fit(given)
    autoencoder.net_.corruption = FailingCorruption()
    np.testing.assert_array_equal(autoencoder.transform(given), autoencoder.transform(given))
    assert np.isfinite(autoencoder.score(given))
    assert autoencoder.net_.predict(given).shape == X.shape
