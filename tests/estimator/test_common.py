"""scikit-learn's own checks, unmodified, none expected to fail, warnings errors."""

import os
import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import check_estimator

from sklearn_ae import AutoencoderTransformer

CONFIGURATIONS = [
    "",
    "hidden_layer_sizes=()",
    "hidden_layer_sizes=(32, 16)",
    "code='relu'",
    "code='sigmoid'",
    "code='tanh'",
    "tied_weights=True, hidden_layer_sizes=()",
    "dropout=0.5",
    "early_stopping=False",
    "n_components=1",
    "output_activation='clip'",
    "init='random'",
    "warm_start=True, lr=1e-12",  # checks want a second fit to end where the first did: it goes on, but nowhere here
    "code='top_k'",
    "code='winner_take_all'",
    "code='gaussian'",
    "code=Gaussian(2.0), tied_weights=True, hidden_layer_sizes=()",
    "loss='absolute_error'",
    "loss='huber'",
    "loss=Mixed([('absolute_error', 0)])",
    "loss='poisson'",
    "penalty='l1'",
    "penalty='kl_sparsity', code='sigmoid'",
    "penalty='contractive'",
    "penalty=['orthogonal', Contractive(n_projections=None)]",
    "corruption=0.2",
    "corruption='gaussian_noise'",
    "corruption='salt_and_pepper'",
    "lr_schedule='linear'",
    "module=Own",
    "ordered=True",
    "n_components=0.3",
    "n_components='auto'",
    "missing='mask'",
    "missing='mask', corruption=0.2",
]

SCRIPT = """
import sys, warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from torch import nn
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian
from sklearn_ae.losses import Mixed
from sklearn_ae.penalties import Contractive

class Own(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, n_components))
        self.decode = nn.Sequential(nn.Linear(n_components, 8), nn.ReLU(), nn.Linear(8, n_features))

warnings.simplefilter("error")
warnings.simplefilter("ignore", ConvergenceWarning)  # of three epochs
logs = check_estimator(eval(f"AutoencoderTransformer({sys.argv[1]})").set_params(max_epochs=3))
assert {log["status"] for log in logs} == {"passed"}, logs
print(len(logs), "checks passed")
"""


@pytest.mark.parametrize("parameters", CONFIGURATIONS)
def test_no_check_fails_or_is_skipped(parameters):
    """The array API's check asks for a variable that SciPy reads at its import: hence a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, parameters],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "checks passed" in result.stdout


def test_without_the_variable_only_the_array_api_is_skipped():
    logs = check_estimator(AutoencoderTransformer(max_epochs=3), on_skip=None)
    left = {log["check_name"]: log["status"] for log in logs if log["status"] != "passed"}
    assert left.items() <= {"check_array_api_input": "skipped"}.items()  # which scikit-learn 1.6 does not have
