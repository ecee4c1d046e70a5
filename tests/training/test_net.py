"""Training is a plain loop, bit for bit; it keeps the best weights, survives faults, and is a skorch net throughout."""

import pickle
import subprocess
import sys
from copy import deepcopy
from importlib.metadata import version
from math import exp

import numpy as np
import pytest
import torch
from helpers import net_of, random_network, same_bits
from sklearn.utils import check_random_state
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, GradientNormClipping, LRScheduler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.weights import weights_of
from sklearn_ae._training import net as net_module
from sklearn_ae._training.callbacks import KeepBest
from sklearn_ae._training.optimizers import (
    OPTIMIZERS,
    LearningRule,
    WeightAverage,
    limit_norm_,
    optimizer_settings,
    takes_weight_decay,
)
from sklearn_ae.losses import LogLoss, SquaredError
from sklearn_ae.networks import TiedAutoencoder

D, N = 4, 53
TORCHS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def global_states() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())


class Recorder(Callback):
    """Records the candidate weights and the learning rate at the end of each epoch, and counts the epochs begun."""

    def on_train_begin(self, net, **kwargs):
        self.candidates, self.rates, self.n_begun = [weights_of(net.candidate)], [], 0

    def on_epoch_begin(self, net, **kwargs):
        self.n_begun += 1

    def on_epoch_end(self, net, **kwargs):
        self.candidates.append(weights_of(net.candidate))
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


class Poison(Callback):
    """Sets weights to NaN before the first step of given epochs."""

    def __init__(self, *epochs):
        self.epochs = epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) in self.epochs:
            net.module_.network.encoder_affine.weight.data.fill_(torch.nan)


class Interrupt(Callback):
    """Raises KeyboardInterrupt after the second step of the third epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
            raise KeyboardInterrupt


def hand_written_loop(
    module: Autoencoder, X: torch.Tensor, loss, optimizer, n_epochs: int, gradient_norm: float = 1e9
) -> list:
    generator, losses = torch.Generator().manual_seed(7), []
    module.train()
    for _ in range(n_epochs):
        losses.append(0.0)
        for batch in torch.randperm(len(X), generator=generator).split(8):
            optimizer.zero_grad()
            step_loss = loss(module.step(X[batch], generator=generator))
            step_loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), gradient_norm)
            optimizer.step()
            losses[-1] += step_loss.item() * len(batch) / len(X)
    return losses


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({}, SquaredError()),
        ({"module": TiedAutoencoder}, SquaredError()),
        ({"code_dropout": 0.5}, SquaredError()),
        ({"code": "relu", "output_activation": "sigmoid"}, LogLoss()),
        ({"output_activation": "clip"}, SquaredError()),
    ],
    ids=str,
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_the_plain_loop_bit_for_bit(optimizer, changes, loss, X):
    X = torch.sigmoid(X)
    by_net, by_hand = random_network(**changes), random_network(**changes)
    for module in (by_net, by_hand):
        if changes.get("output_activation") == "clip":
            module.output.set_range(torch.full((D,), 0.4), torch.full((D,), 0.6))
    ours = optimizer_settings(optimizer, 0.1)
    if "fan_in" in ours:
        ours["fan_in"] = 1e9  # all matrices are narrow
    net = net_of(by_net, criterion=loss, **ours).partial_fit(TrainingRows(X))
    rule = LearningRule()
    settings = {"lr": 0.01 * rule.greatest_ratio, "eps": rule.eps}
    if optimizer == "sgd":
        settings = {"lr": 0.01, "momentum": 0.9, "nesterov": True}
    by_hand_optimizer = TORCHS[optimizer](by_hand.parameters(), weight_decay=0.1, fused=True, **settings)
    losses = hand_written_loop(by_hand, X, loss, by_hand_optimizer, n_epochs=3, gradient_norm=rule.gradient_norm)
    assert same_bits(weights_of(by_net), weights_of(by_hand))
    np.testing.assert_allclose(net.history[:, "train_loss"], losses, rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "decay", "expected"),
    [
        (torch.optim.Adagrad, 0.0, {"optimizer": torch.optim.Adagrad}),
        (torch.optim.Adagrad, 0.1, {"optimizer": torch.optim.Adagrad, "optimizer__weight_decay": 0.1}),
        (
            "adam",
            0.0,
            {
                "optimizer": OPTIMIZERS["adam"],
                "optimizer__weight_decay": 0.0,
                "optimizer__fused": True,
                "optimizer__eps": 1e-5,
                "fan_in": 64,
                "gradient_norm": 1.0,
            },
        ),
    ],
)
def test_an_optimizer_class_gets_only_the_settings_given(optimizer, decay, expected, X):
    assert optimizer_settings(optimizer, decay) == expected
    module = random_network()
    before = weights_of(module)
    net_of(module, **optimizer_settings(optimizer, decay)).partial_fit(TrainingRows(X))
    assert not same_bits(weights_of(module), before)


def test_the_limit_on_the_gradient_is_torchs_bit_for_bit():
    gradients = [torch.randn(3, 4), torch.randn(5)]
    for scale in (0.1, 10.0, 0.0):
        weights = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = scale * gradient
        ours = [weight.grad.clone() for weight in weights]
        limit_norm_(ours, 1.5)
        torch.nn.utils.clip_grad_norm_(weights, 1.5)
        assert all(torch.equal(own, weight.grad) for own, weight in zip(ours, weights, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_does_not_import_torchs_compiler(name):
    script = f"""if True:
        import sys
        import numpy as np
        from sklearn_ae import AutoencoderTransformer
        X = np.random.default_rng(0).normal(size=(40, 4))
        AutoencoderTransformer(2, max_epochs=2, lr=1e-3, optimizer={name!r}).fit(X).transform(X)
        assert "torch._dynamo" not in sys.modules
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_hooks_of_an_optimizer_are_called_and_it_survives_a_pickle(X):
    net = net_of(random_network(), **optimizer_settings("adamw", 0.0))
    calls = []
    net.optimizer_.register_step_post_hook(lambda *args: calls.append("after"))
    net.partial_fit(TrainingRows(X))
    assert len(calls) == len(net.history) * -(-N // net.batch_size)
    net.optimizer_._optimizer_step_post_hooks.clear()
    assert type(pickle.loads(pickle.dumps(net.optimizer_))) is OPTIMIZERS["adamw"]


def test_an_optimizer_takes_weight_decay_by_name_or_among_any_arguments():
    class Wrapped(torch.optim.SGD):
        def __init__(self, params, **settings):
            super().__init__(params, **settings)

    assert takes_weight_decay(torch.optim.RMSprop)
    assert takes_weight_decay(Wrapped)
    assert not takes_weight_decay(torch.optim.LBFGS)
    assert optimizer_settings(torch.optim.LBFGS, 0.0) == {"optimizer": torch.optim.LBFGS}


def test_an_optimizer_that_needs_a_closure_works(X):
    module = random_network()
    net = net_of(module, optimizer=torch.optim.LBFGS, lr=0.5, batch_size=N, max_epochs=5, average_window=4)
    net.partial_fit(TrainingRows(X))
    assert net.history[-1, "train_loss"] < 0.5 * net.history[0, "train_loss"]
    assert net.average_.n_steps == 5


def test_validation_samples_are_not_trained_on(X, split):
    changed, modules = X.clone(), [random_network(), random_network(), random_network()]
    changed[split.valid] = 99
    net_of(modules[0], train_split=split).partial_fit(TrainingRows(X))
    net_of(modules[1], train_split=split).partial_fit(TrainingRows(changed))
    net_of(modules[2]).partial_fit(TrainingRows(X).without(split.valid))
    assert same_bits(weights_of(modules[0]), weights_of(modules[1]))
    assert same_bits(weights_of(modules[0]), weights_of(modules[2]))


@pytest.mark.parametrize("window", [3, 400])
def test_the_average_spans_a_tenth_of_the_steps_and_at_most_the_window(window):
    module = random_network()
    average = WeightAverage(module, window)
    weight, expected = module.network.encoder_affine.weight, module.network.encoder_affine.weight.detach().clone()
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    for step in range(1, 62):
        with torch.no_grad():
            weight.add_(step % 3)
        average.count_step()
        if step % 4 == 0:
            keep = exp(-4 / min(window, step / 10))
            expected = keep * expected + (1 - keep) * weight.detach()
        torch.testing.assert_close(average.module.network.encoder_affine.weight.data, expected)
    average.take()
    keep = exp(-1 / min(window, 6.1))
    torch.testing.assert_close(
        average.module.network.encoder_affine.weight.data, keep * expected + (1 - keep) * weight.data
    )
    taken = weights_of(average.module)
    average.take()
    assert same_bits(weights_of(average.module), taken)


def test_the_average_includes_every_step_by_the_end_of_an_epoch(X):
    class Steps(Recorder):
        def on_batch_end(self, net, **kwargs):
            weights.append(net.module_.network.encoder_affine.weight.detach().clone())

    weights, steps, module = [], Steps(), random_network()
    expected = module.network.encoder_affine.weight.detach().clone()
    net_of(module, lr=0.1, max_epochs=2, average_window=400, callbacks=[steps]).partial_fit(TrainingRows(X))
    assert len(weights) == 14
    for step, n_new in ((4, 4), (7, 3), (11, 4), (14, 3)):
        keep = exp(-10 * n_new / step)
        expected = keep * expected + (1 - keep) * weights[step - 1]
        if step in (7, 14):
            torch.testing.assert_close(steps.candidates[step // 7]["network.encoder_affine.weight"], expected)


def stops_after(objectives: list[float], patience: int, tol: float) -> int:
    """Return the number of epochs after which early stopping ends training, from the objectives since epoch 0."""
    reference, last = objectives[0], 0
    for epoch, objective in enumerate(objectives[1:], start=1):
        if objective < reference - tol * reference:
            reference, last = objective, epoch
        if epoch - last >= patience:
            return epoch
    return len(objectives) - 1


@pytest.mark.parametrize("average_window", [0, 20])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize(("lr", "patience", "tol"), [(0.3, 4, 0.0), (0.03, 3, 1e-3), (0.003, 2, 0.05), (10.0, 2, 1e-4)])
def test_the_best_epoch_is_kept_and_training_ends_without_improvement(
    lr, patience, tol, validated, average_window, X, split
):
    recorder, keep_best, module = Recorder(), KeepBest(patience, tol), random_network()
    train_split, training = split if validated else None, {"lr": lr, "max_epochs": 40, "callbacks": [recorder]}
    net = net_of(module, average_window=average_window, keep_best=keep_best, train_split=train_split, **training)
    start, _ = net.evaluate(TrainingRows(X).select(split.valid) if validated else TrainingRows(X))
    net.partial_fit(TrainingRows(X))
    objectives = [start, *net.history[:, "valid_loss" if validated else "train_loss"]]
    best = int(np.argmin(objectives))
    assert keep_best.epoch_ == best
    assert keep_best.objective_ == objectives[best]
    assert same_bits(weights_of(module), recorder.candidates[best])
    assert not module.training
    assert len(net.history) == stops_after(objectives, patience, tol)
    assert recorder.n_begun == len(recorder.rates) == len(net.history)
    assert not net.interrupted_


def test_the_best_epochs_above_include_the_first_the_last_and_one_between(X, split):
    """The test above proves little unless its settings reach all three."""
    best = []
    for lr, patience, tol in [(10.0, 2, 1e-4), (0.3, 4, 0.0), (0.003, 50, 0.0)]:
        keep_best = KeepBest(patience, tol)
        net = net_of(random_network(), lr=lr, max_epochs=20, keep_best=keep_best, train_split=split)
        net.partial_fit(TrainingRows(X))
        best.append((keep_best.epoch_, len(net.history)))
    assert best[0][0] == 0
    assert 0 < best[1][0] < best[1][1]
    assert best[2] == (20, 20)


@pytest.mark.parametrize("average_window", [0, 20])
def test_validation_computes_the_loss_with_noise_and_r2_without(average_window, X, split):
    recorder, keep_best, mean = Recorder(), KeepBest(9, 0.0), torch.tensor([0.5, -1.0, 0.0, 2.0])
    module, settings = (
        random_network(code_dropout=0.5),
        {"train_split": split, "scaling": Scaling(mean.double().numpy(), unscaled=True)},
    )
    net = net_of(module, average_window=average_window, keep_best=keep_best, callbacks=[recorder], **settings)
    net.partial_fit(TrainingRows(X))
    valid, scores, losses = X[split.valid], [], []
    for weights in recorder.candidates:
        module.load_state_dict(weights)
        error = (valid - module(valid)).square().sum()
        scores.append(1 - (error / (valid - mean).square().sum()).item())
        losses.append(SquaredError()(module.step(valid, generator=torch.Generator().manual_seed(7))).item())
    np.testing.assert_allclose(keep_best.validation_scores_, scores, rtol=1e-5)
    np.testing.assert_allclose(net.history[:, "valid_loss"], losses[1:], rtol=1e-5)


@pytest.mark.parametrize("n", [500, 1500])
def test_evaluation_weighs_batches_by_their_size(n):
    X = torch.randn(n, D, generator=torch.Generator().manual_seed(0)) + torch.linspace(0, 3, n)[:, None]
    module = random_network()
    objective, score = net_of(module).evaluate(TrainingRows(X))
    error = (X - module(X)).square()
    assert objective == pytest.approx(error.mean().item(), rel=1e-5)
    assert score == pytest.approx(1 - (error.sum() / X.square().sum()).item(), rel=1e-5)


def test_without_epochs_the_initialization_is_kept(X, split):
    module, keep_best = random_network(), KeepBest(3, 0.0)
    before = weights_of(module)
    net_of(module, max_epochs=0, keep_best=keep_best, train_split=split).partial_fit(TrainingRows(X))
    assert same_bits(weights_of(module), before)
    assert keep_best.epoch_ == 0
    assert len(keep_best.validation_scores_) == 1


def test_without_keep_best_the_last_weights_are_kept(X):
    module, recorder = random_network(), Recorder()
    net_of(module, callbacks=[recorder]).partial_fit(TrainingRows(X))
    assert same_bits(weights_of(module), recorder.candidates[-1])


def test_validation_noise_is_the_same_in_every_epoch_and_training_noise_is_not(X, split):
    module = random_network(code_dropout=0.5)
    net = net_of(module, lr=1e-30, train_split=split).partial_fit(TrainingRows(X))
    valid_losses, train_losses = net.history[:, "valid_loss"], net.history[:, "train_loss"]
    assert len(set(valid_losses)) == 1
    assert len(set(train_losses)) == 3
    step = module.step(X[split.valid], generator=torch.Generator().manual_seed(7))
    assert valid_losses[0] == pytest.approx(SquaredError()(step).item())
    assert valid_losses[0] != pytest.approx(SquaredError()(module.step(X[split.valid])).item(), rel=1e-3)


def test_clipping_is_hard_in_validation_and_leaky_in_training(X, split):
    module = random_network(output_activation="clip")
    module.output.set_range(torch.full((D,), -0.1), torch.full((D,), 0.1))
    net = net_of(module, lr=1e-30, train_split=split, max_epochs=2, batch_size=N).partial_fit(TrainingRows(X))
    for rows, loss, training in (
        (np.delete(np.arange(N), split.valid), "train_loss", True),
        (split.valid, "valid_loss", False),
    ):
        module.train(training)
        assert net.history[-1, loss] == pytest.approx((X[rows] - module(X[rows])).square().mean().item())


@pytest.mark.parametrize("validated", [True, False])
def test_a_nonfinite_loss_restores_the_weights_and_lowers_the_rate_once(validated, X, split):
    module, recorder, keep_best = random_network(), Recorder(), KeepBest(99, 0.0)
    settings = {"max_epochs": 5, "average_window": 20, "train_split": split if validated else None}
    net = net_of(module, keep_best=keep_best, callbacks=[Poison(3), recorder], **settings).partial_fit(TrainingRows(X))
    losses = net.history[:, "train_loss"]
    assert [np.isfinite(loss) for loss in losses] == [True, True, False, True, True]
    assert recorder.rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.001])
    best_before = 1 + int(np.argmin(net.history[:2, "valid_loss" if validated else "train_loss"]))
    assert same_bits(recorder.candidates[3], recorder.candidates[best_before])
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    if validated:
        assert keep_best.validation_scores_[3] == keep_best.validation_scores_[2]
        assert np.isfinite(keep_best.validation_scores_).all()
        assert len(keep_best.validation_scores_) == 6


def test_a_second_nonfinite_loss_raises_an_error(X):
    net = net_of(random_network(), max_epochs=9, keep_best=KeepBest(99, 0.0), callbacks=[Poison(2, 4)])
    with pytest.raises(ValueError, match=r"finite in epoch 4, and again with a tenth of lr=0\.01\. Lower lr, or scale"):
        net.partial_fit(TrainingRows(X))


def test_a_restart_resets_the_state_of_the_optimizer(X):
    """Adam's first step from a new state moves every weight with a gradient by the rate, whatever the gradient."""

    class Watch(Recorder):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 4 and len(net.history[-1]["batches"]) == 1:
                self.moved = (
                    net.module_.network.encoder_affine.weight.detach()
                    - self.candidates[3]["network.encoder_affine.weight"]
                )

    watch = Watch()
    settings = {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.0}
    settings |= {"keep_best": KeepBest(9, 0.0), "callbacks": [Poison(3), watch]}
    net = net_of(random_network(), max_epochs=4, **settings)
    net.partial_fit(TrainingRows(X))
    torch.testing.assert_close(watch.moved.abs(), torch.full_like(watch.moved, 0.001), rtol=1e-3, atol=0)


def test_an_interruption_restores_the_best_weights_and_is_recorded(X, split):
    module, recorder = random_network(), Recorder()
    net = net_of(module, lr=0.001, max_epochs=9, keep_best=KeepBest(9, 0.0), callbacks=[recorder, Interrupt()])
    net.partial_fit(TrainingRows(X))
    assert net.interrupted_
    assert len(recorder.candidates) == 3
    assert same_bits(weights_of(module), recorder.candidates[2])
    assert not module.training


@pytest.mark.parametrize("by_skorch", [False, True])
def test_a_planned_stop_is_not_an_interruption(by_skorch, X, split):
    keep_best, stop = KeepBest(99 if by_skorch else 2, 10.0), EarlyStopping(patience=2, threshold=99)
    settings = {"max_epochs": 9, "train_split": split, "callbacks": [stop] if by_skorch else []}
    net = net_of(random_network(), keep_best=keep_best, **settings).partial_fit(TrainingRows(X))
    assert len(net.history) == (3 if by_skorch else 2)  # skorch counts from the first epoch, we from the initialization
    assert not net.interrupted_


@pytest.mark.parametrize(("small_step", "n_threads"), [(0, 2), (10**9, 1)])
def test_small_steps_use_one_thread_and_restore_the_number(small_step, n_threads, X, monkeypatch):
    class Threads(Callback):
        def on_batch_end(self, net, **kwargs):
            seen.add(torch.get_num_threads())

    seen = set()
    monkeypatch.setattr(net_module, "SMALL_STEP", small_step)
    torch.set_num_threads(2)
    try:
        net_of(random_network(), callbacks=[Threads(), Interrupt()]).partial_fit(TrainingRows(X))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == {n_threads}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_seed_determines_every_bit_and_global_generators_are_left_alone(dropout, X, split):
    states, before = [], global_states()
    for seed in (7, 7, 8):
        module = random_network(code_dropout=dropout)
        net = net_of(module, seed=seed, train_split=split, keep_best=KeepBest(9, 0.0), average_window=20)
        net.partial_fit(TrainingRows(X))
        states.append(weights_of(module))
    assert global_states() == before
    assert same_bits(states[0], states[1])
    assert not same_bits(states[0], states[2])


def test_the_net_reconstructs_numpy_arrays_of_either_precision(X):
    module = random_network(code_dropout=0.5)
    net = net_of(module).partial_fit(TrainingRows(X))
    module.eval()
    expected = module(X).detach().numpy()
    module.train()
    for given in (X.numpy(), X.double().numpy()):
        predicted = net.predict(given)
        assert predicted.dtype == np.float32
        np.testing.assert_allclose(predicted, expected, atol=1e-6)
    assert not module.training
    np.testing.assert_allclose(net.predict(TrainingRows(X)), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_net_fits_numpy_arrays(dtype, X):
    net = net_of(random_network(), max_epochs=10, lr=0.03)
    given = X.numpy().astype(dtype)
    net.fit(given, given)
    assert net.history[-1, "train_loss"] < 0.8 * net.history[0, "train_loss"]


def test_callbacks_of_skorch_work_as_in_any_net(X, split):
    def error(net, dataset, y=None):
        return float(np.square(net.predict(dataset) - X[dataset.index].numpy()).mean())

    callbacks = [
        ("error", EpochScoring(error, name="error", use_caching=False)),
        ("rate", LRScheduler("StepLR", step_size=1, gamma=0.5)),
        ("clip", GradientNormClipping(1e-3)),
    ]
    net = net_of(random_network(), optimizer=torch.optim.SGD, train_split=split, batch_size=N, callbacks=callbacks)
    before = weights_of(net.module_)
    net.partial_fit(TrainingRows(X))
    np.testing.assert_allclose(net.history[:, "error"], net.history[:, "valid_loss"], rtol=1e-5)
    assert net.history[:, "event_lr"] == pytest.approx([0.01, 0.005, 0.0025])
    moved = sum((value - before[name]).square().sum().item() for name, value in net.module_.state_dict().items()) ** 0.5
    assert moved == pytest.approx(1e-3 * (0.01 + 0.005 + 0.0025), rel=0.05)


def test_history_has_the_entries_that_skorch_records_for_every_epoch(X, split):
    net = net_of(random_network(), train_split=split).partial_fit(TrainingRows(X))
    assert {"epoch", "dur", "train_loss", "valid_loss", "batches"} <= set(net.history[0])
    assert net.history[:, "epoch"] == [1, 2, 3]
    assert net.history[0, "batches", :, "train_batch_size"] == [8] * 5
    assert net.history[-1, "valid_batch_count"] == 1


@pytest.mark.parametrize("validated", [True, False])
def test_the_progress_bar_shows_epochs_loss_and_score_and_verbose_0_is_silent(validated, X, split, capsys):
    train_split = split if validated else None
    for verbose in (0, 1):
        net = net_of(random_network(), keep_best=KeepBest(9, 0.0), train_split=train_split, verbose=verbose)
        net.partial_fit(TrainingRows(X))
        out, err = capsys.readouterr()
        assert out == ""
        shown = [part in err for part in ("AutoencoderTransformer", "3/3", "loss=", "epoch", "R2=")]
        assert shown == ([True, True, True, True, validated] if verbose else [False] * 5)
        assert bool(err) is bool(verbose)


def test_a_net_trains_again_after_it_stopped(X):
    net = net_of(random_network(), keep_best=KeepBest(1, 10.0))
    net.partial_fit(TrainingRows(X)).partial_fit(TrainingRows(X))
    assert len(net.history) == 2


def test_an_interruption_is_recorded_only_for_its_own_fit(X):
    net = net_of(random_network(), callbacks=[Interrupt()], max_epochs=3)
    assert net.partial_fit(TrainingRows(X)).interrupted_
    assert not net.partial_fit(TrainingRows(X)).interrupted_


@pytest.mark.skipif(version("skorch") < "1.2", reason="skorch 1.1 cannot load nets with torch 2.6 or newer")
def test_a_copied_net_averages_its_own_weights(X):
    net = deepcopy(net_of(random_network(), average_window=400))
    before = weights_of(net.module_)
    net.partial_fit(TrainingRows(X))
    assert not same_bits(weights_of(net.average_.module), before)
    assert not same_bits(weights_of(net.module_), before)


def test_the_net_of_an_estimator_trains_on_arrays(X):
    net = AutoencoderTransformer(max_epochs=1).fit(X.numpy()).net_
    n_epochs = len(net.history)
    net.partial_fit(X.numpy(), X.numpy())
    assert len(net.history) == n_epochs + 1
    assert net.predict(X.numpy()).shape == X.shape
