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
    "warm_start=True",
]

SCRIPT = """
import sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from sklearn_ae import AutoencoderTransformer
warnings.simplefilter("error")
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
    assert left == {"check_array_api_input": "skipped"}
