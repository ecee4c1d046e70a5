"""A killed fit resumes to the same bits, and a file of another fit raises an error and is never overwritten."""

import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_processes import VARIANTS, bits, data, estimator
from helpers import quick
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._checkpoints import files
from sklearn_ae._checkpoints.checkpoint import stable_repr
from sklearn_ae._checkpoints.format import CheckpointState, decode_state, encode_state
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae.codes import TopK
from sklearn_ae.losses import Mixed
from sklearn_ae.penalties import L1

ROOT = Path(__file__).parents[2]


class Died(Exception):
    """Simulates a kill."""


class Die(Callback):
    """Raises in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            raise Died


def die(model, X, epoch, **given):
    with pytest.raises(Died):
        clone(model).set_params(callbacks=[Die(epoch)]).fit(X, **given)


def run_script(folder, *what):
    command = [sys.executable, str(ROOT / "tests" / "checkpoint_processes.py"), str(folder), *what]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
def test_processes(tmp_path):
    """Real kills at random moments and within a write, a full disk, two fits that start at one path at once."""
    run_script(tmp_path, "kill", "kill_in_write", "fill", "race")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_fit_resumes_to_the_bits_of_an_uninterrupted_one(name, path):
    X = data(name)
    model = estimator(name, checkpoint=path, resume=True)
    for epoch in (1, 5, 9):
        die(model, X, epoch)
    assert bits(model.fit(X), X) == bits(estimator(name).fit(X), X)


class Decoupled(nn.Module):
    """A network with running statistics."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.down, self.norm = nn.Linear(n_features, n_components), nn.BatchNorm1d(n_components)
        self.up = nn.Linear(n_components, n_features)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def encode(self, x):
        self.seen += self.training
        return self.norm(self.down(x)) + 1e-6 * self.seen

    def decode(self, h):
        return self.up(h)


class Dropping(Decoupled):
    """A network that draws from torch's global generator in training."""

    def decode(self, h):
        return nn.functional.dropout(super().decode(h), 0.2, self.training)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.NAdam},
        {"optimizer": torch.optim.ASGD},
        {"optimizer": torch.optim.Rprop},
        {"optimizer": torch.optim.LBFGS, "lr": 0.1},
        {"module": Decoupled},
        {"module": Dropping},
        {"activation": nn.RReLU, "init": "random"},
        {"lr": 1e8, "optimizer": "sgd"},  # the rate is lowered
        {"code": "gaussian", "early_stopping": False},
        {"code": "winner_take_all", "penalty": "l1"},
        {"n_components": "auto"},
        {"n_iter_no_change": 1, "tol": 10.0},
        {"max_epochs": 0},
    ],
    ids=lambda params: "-".join(f"{name}={getattr(value, '__name__', value)}" for name, value in params.items()),
)
def test_every_optimizer_and_module_resumes(params, small, path):
    model = quick(**{"max_epochs": 6} | params, checkpoint=path, resume=True)
    expected = outcome(clone(model).set_params(checkpoint=None, resume=False), small)
    for epoch in (2, 4):
        try:
            clone(model).set_params(callbacks=[Die(epoch)]).fit(small)
        except (Died, ValueError):
            continue
    assert outcome(model, small) == expected


def outcome(model, X):
    """Return the results of a fit as bytes, or its error message."""
    try:
        model.fit(X)
    except ValueError as error:
        return str(error)
    return [model.transform(X).tobytes(), model.loss_curve_.tobytes(), model.components_.tobytes(), model.n_iter_]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["None", "RandomState"])
def test_the_stored_seed_and_split_take_precedence(random_state, digits, path):
    model = estimator("noise", checkpoint=path, resume=True, random_state=random_state)
    die(model, digits[:300], 2)
    saved = decode_state(path.read_bytes())
    first = clone(model).fit(digits[:300])
    path.write_bytes(encode_state(saved))
    assert bits(model.fit(digits[:300]), digits) == bits(first, digits)
    assert decode_state(path.read_bytes()).plain["seed"] == saved.plain["seed"]


def test_a_finished_fit_ends_at_once(small, path):
    model = quick(checkpoint=str(path)).fit(small)
    content = path.read_bytes()
    again = quick(checkpoint=path, resume=True).fit(small)
    assert bits(again, small) == bits(model, small)
    assert path.read_bytes() == content
    again.net_.partial_fit(TrainingRows(again._scaling.transform(small, torch.float32)))
    assert len(again.net_.history) == 6  # training the net further does not change the file
    assert path.read_bytes() == content


def test_without_resume_the_file_of_the_same_fit_is_replaced(small, path):
    model = quick(checkpoint=path).fit(small)
    assert bits(clone(model).fit(small), small) == bits(model, small)


def test_the_progress_bar_counts_all_epochs(small, path, capsys):
    model = quick(checkpoint=path, resume=True, verbose=1)
    die(model, small, 3)
    capsys.readouterr()
    model.fit(small)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.1}, "lr is 'auto' in the file and 0.1 in this fit"),
        ({"code": TopK(1)}, r"code is 'identity' in the file and TopK\("),
        ({"random_state": 1}, "random_state is 0 in the file and 1 in this fit"),
        ({"random_state": None}, "random_state is 0 in the file and 'not an int' in this fit"),
        ({"module": Decoupled}, "module is None in the file and Decoupled in this fit"),
        ({"max_epochs": 4}, "max_epochs"),
    ],
    ids=lambda value: "-".join(map(str, value.items())) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("resume", [False, True])
def test_other_parameters_raise(changes, message, resume, small, path):
    model = quick(checkpoint=path).fit(small)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"fit.checkpoint.*other parameters.*{message}"):
        model.set_params(resume=resume, **changes).fit(small)
    assert path.read_bytes() == content
    assert model.transform(small).shape == (80, 2)  # the earlier fit


@pytest.mark.parametrize("resume", [False, True])
def test_other_data_raises(resume, small, path):
    quick(checkpoint=path).fit(small)
    content = path.read_bytes()
    other = small.copy()
    other[3, 4] += 1e-3
    for X, what in [(small[:70], "shape"), (other, "other values"), (2 * small, "other values"), (small + 1, "other")]:
        with pytest.raises(ValueError, match=f"other data.*{what}"):
            quick(checkpoint=path, resume=resume).fit(X)
    assert path.read_bytes() == content


def test_a_fit_with_X_val_resumes_to_the_same_bits(small, path):
    expected = quick().fit(small[10:], X_val=small[:10])
    die(quick(checkpoint=path), small[10:], 2, X_val=small[:10])
    resumed = quick(checkpoint=path, resume=True).fit(small[10:], X_val=small[:10])
    assert bits(resumed, small) == bits(expected, small)


@pytest.mark.parametrize("resume", [False, True])
def test_other_X_val_raises(resume, small, path):
    X, X_val = small[20:], small[:10]
    quick(checkpoint=path).fit(X, X_val=X_val)
    content = path.read_bytes()
    for other, what in [
        (None, "shape .10, 8. in the file and none"),
        (small[:9], "shape"),
        (2 * X_val, "other values"),
    ]:
        with pytest.raises(ValueError, match=f"other X_val: .*{what}"):
            quick(checkpoint=path, resume=resume).fit(X, X_val=other)
    assert path.read_bytes() == content


@pytest.mark.parametrize("resume", [False, True])
def test_X_val_for_a_fit_without_raises(resume, small, path):
    quick(checkpoint=path).fit(small)
    with pytest.raises(ValueError, match="other X_val: none in the file and shape"):
        quick(checkpoint=path, resume=resume).fit(small, X_val=small[:10])


def test_ignored_parameters_may_differ(small, path):
    die(quick(checkpoint=path), small, 2)
    model = quick(checkpoint=path, resume=True, verbose=0, warm_start=True, device="auto" if _cpu() else "cpu")
    assert bits(model.fit(small), small) == bits(quick().fit(small), small)


def _cpu():
    return not torch.cuda.is_available()


def test_a_search_with_one_path_raises(small, path):
    search = GridSearchCV(quick(checkpoint=path), {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="clones in a search"):
        search.fit(small)


def test_texts_of_parameters_are_equal_if_the_parameters_are():
    assert stable_repr(L1(0.5)) == stable_repr(L1(np.float64(0.5))) != stable_repr(L1(0.25))
    assert stable_repr([1, 2]) == stable_repr((1, 2)) == stable_repr(np.array([1, 2]))
    assert stable_repr(TopK) == "TopK" != stable_repr(TopK(3))
    assert stable_repr(partial(TopK, k=3)) == stable_repr(partial(TopK, k=3)) != stable_repr(partial(TopK, k=4))
    assert stable_repr(nn.Dropout(0.1)) != stable_repr(nn.Dropout(0.2))
    torch_module = nn.Linear(2, 1)
    text = stable_repr(torch_module)
    with torch.no_grad():
        torch_module.bias += 1
    assert text != stable_repr(torch_module)
    long = [("squared_error", list(range(n))) for n in (400, 401)]
    assert stable_repr(Mixed([long[0]])) != stable_repr(Mixed([long[1]]))  # scikit-learn's own texts are cut short
    assert stable_repr({"a": None}) == "{'a': None}"


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_file_raises_and_is_not_overwritten(damage, resume, small, path):
    quick(checkpoint=path).fit(small)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    damaged = {"truncated": content[:middle], "flipped": flipped}[damage]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"fit.checkpoint' cannot be read.*damaged.*delete"):
        quick(checkpoint=path, resume=resume).fit(small)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("foreign", [b"my thesis", b""], ids=["text", "empty"])
def test_a_foreign_file_is_never_overwritten(foreign, resume, small, path):
    path.write_bytes(foreign)
    with pytest.raises(ValueError, match=r"fit.checkpoint' cannot be read.* not a checkpoint of sklearn-ae"):
        quick(checkpoint=path, resume=resume).fit(small)
    assert path.read_bytes() == foreign


def test_a_file_of_another_device_raises(small, path):
    quick(checkpoint=path).fit(small)
    plain, arrays = decode_state(path.read_bytes())
    path.write_bytes(encode_state(CheckpointState(plain | {"device": "cuda"}, arrays)))
    with pytest.raises(ValueError, match="device 'cuda'; its random state cannot be restored on 'cpu'"):
        quick(checkpoint=path, resume=True).fit(small)


def test_resume_needs_a_file_and_a_cold_start(small, path):
    with pytest.raises(ValueError, match="resume=True requires checkpoint=<path>"):
        quick(resume=True).fit(small)
    model = quick(checkpoint=path, warm_start=True).fit(small)
    with pytest.raises(ValueError, match="warm_start=True"):
        model.fit(small)
    with pytest.raises(ValueError, match="does not exist; create it first"):
        quick(checkpoint=path / "no" / "folder").fit(small)


@pytest.mark.parametrize(("name", "value"), [("checkpoint", 3), ("resume", "yes")])
def test_parameters_are_checked(name, value, small):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        quick(**{name: value}).fit(small)


def test_parameters_are_cloned(path):
    params = clone(AutoencoderTransformer(checkpoint=path, resume=True)).get_params()
    assert (params["checkpoint"], params["resume"]) == (path, True)


def test_without_hard_links_files_are_renamed(small, path, monkeypatch):
    def no_links(*args):
        raise PermissionError

    monkeypatch.setattr(files.os, "link", no_links)
    model = quick(checkpoint=path, resume=True)
    die(model, small, 3)
    assert bits(model.fit(small), small) == bits(quick().fit(small), small)
    with pytest.raises(FileExistsError):
        files.write(path, b"", new=True)
    assert os.listdir(path.parent) == [path.name]


def test_a_disk_full_from_the_beginning_keeps_the_initialization(small, path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    model = quick(checkpoint=path)
    with pytest.raises(OSError, match=r"could not be written \(No space left on device\).*fit.checkpoint"):
        model.fit(small)
    assert (model.n_iter_, model.best_epoch_) == (0, 0)
    assert bits_of_initialization(model, small) == bits_of_initialization(quick(max_epochs=0).fit(small), small)
    assert list(path.parent.iterdir()) == []


def bits_of_initialization(model, X):
    return model.transform(X).tobytes(), model.components_.tobytes()


def test_an_optimizer_that_cannot_be_saved_raises_and_is_named(small, path):
    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            loss = super().step(closure)
            self.state[self.param_groups[0]["params"][0]]["note"] = "text"
            return loss

    with pytest.raises(ValueError, match=r"optimizer's state has a str \(optimizer/0/note\)"):
        quick(optimizer=Odd, checkpoint=path).fit(small)


def test_old_temporary_files_are_removed(small, path):
    old, new, foreign = (path.with_name(f"{path.name}.{name}.tmp") for name in ("0a" * 8, "0b" * 8, "notes"))
    for file in (old, new, foreign):
        file.write_bytes(b"partial")
    os.utime(old, (0, 0))
    os.utime(foreign, (0, 0))
    quick(checkpoint=path).fit(small)
    assert not old.exists()
    assert new.exists()
    assert foreign.exists()


def test_the_global_generator_is_left_alone(small, path):
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)  # tests train for few epochs
        quick(checkpoint=path).fit(small)
        quick(checkpoint=path, resume=True).fit(small)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:Training for 8 epochs did not improve")  # at a rate so high that epochs get worse
def test_the_marks_of_the_best_epochs_are_those_of_an_uninterrupted_fit(small, path):
    params, marks = {"max_epochs": 8, "lr": 0.3}, ("train_loss_best", "valid_loss_best")
    expected = quick(**params).fit(small).net_.history[:, marks]
    model = quick(**params, checkpoint=path, resume=True)
    die(model, small, 1 + next(i for i, (train, _) in enumerate(expected) if not train))
    assert model.fit(small).net_.history[:, marks] == expected


class Precise(torch.optim.Optimizer):
    """Momentum in float64."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                state = self.state[param]
                state["mean"] = 0.9 * state.get("mean", 0.0) + param.grad.double() / 3
                param.data.sub_((group["lr"] * state["mean"]).float())
        return loss


def test_the_precision_of_an_optimizer_is_kept(path):
    X = np.random.default_rng(0).normal(size=(60, 8))
    params = {"optimizer": Precise, "lr": 0.01, "max_epochs": 6}
    model = quick(**params, checkpoint=path, resume=True)
    die(model, X, 4)
    np.testing.assert_array_equal(model.fit(X).loss_curve_, quick(**params).fit(X).loss_curve_)


def test_a_relative_path_is_resolved_when_the_fit_starts(small, path, monkeypatch):
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(path.parent)

    class Move(Callback):
        def on_epoch_begin(self, net, **kwargs):
            monkeypatch.chdir(elsewhere)

    quick(checkpoint=path.name, callbacks=[Move()]).fit(small)
    assert path.exists()
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize("make", [os.mkdir, *([os.mkfifo] if hasattr(os, "mkfifo") else [])])
def test_a_path_that_is_not_a_regular_file_raises(make, small, path):
    make(path)
    with pytest.raises(ValueError, match="is not a regular file"):
        quick(checkpoint=path).fit(small)
