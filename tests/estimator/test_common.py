"""scikit-learn's own checks, unmodified: all pass, none is skipped or expected to fail, warnings are errors."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian
from sklearn_ae.losses import Mixed
from sklearn_ae.networks import TiedAutoencoder
from sklearn_ae.penalties import Contractive


class CustomNetwork(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, n_components))
        self.decode = nn.Sequential(nn.Linear(n_components, 8), nn.ReLU(), nn.Linear(8, n_features))


#: Parameters that change the methods, attributes or tags of the estimator, or what its methods accept.
CHANGE_THE_API = [
    {},
    {"hidden_layer_sizes": ()},
    {"module": TiedAutoencoder},
    {"code": "gaussian"},
    {"module": CustomNetwork},
    {"ordered": True},
    {"n_components": None, "whiten": True},
    {"n_components": 0.3},
    {"n_components": "auto"},
    {"missing": "mask"},
    {
        "warm_start": True,
        "lr": 1e-12,
    },  # a second fit continues the first, and the checks want the same result: lr is tiny
]
OTHERS = [
    {"hidden_layer_sizes": (32, 16)},
    {"code": "relu"},
    {"code": "sigmoid"},
    {"code": "tanh"},
    {"code_dropout": 0.5},
    {"early_stopping": False},
    {"n_components": 1},
    {"output_activation": "clip"},
    {"init": "random"},
    {"code": "top_k"},
    {"code": "winner_take_all"},
    {"code": Gaussian(2.0), "module": TiedAutoencoder},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": Mixed([("absolute_error", 0)])},
    {"loss": "poisson"},
    {"loss": "multinomial"},
    {"penalty": "l1"},
    {"penalty": "kl_sparsity", "code": "sigmoid"},
    {"penalty": "contractive"},
    {"penalty": ["orthogonal", Contractive(n_projections=None)]},
    {"corruption": 0.2},
    {"corruption": "gaussian_noise"},
    {"corruption": "salt_and_pepper"},
    {"lr_schedule": "constant"},
    {"missing": "mask", "corruption": None},
]
#: Checks that scikit-learn runs on its own estimators, and that are not part of ``check_estimator``.
FURTHER_CHECKS = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_n_features_in",
    "check_inplace_ensure_writeable",
]


def name(parameters: dict) -> str:
    return ",".join(f"{key}={getattr(value, '__name__', value)}" for key, value in parameters.items()) or "default"


CONFIGURATIONS = pytest.mark.parametrize(
    "parameters",
    [
        *(pytest.param(parameters, id=name(parameters)) for parameters in CHANGE_THE_API),
        *(pytest.param(parameters, id=name(parameters), marks=pytest.mark.slow) for parameters in OTHERS),
    ],
)


@CONFIGURATIONS
def test_no_check_fails_or_is_skipped(parameters, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else scikit-learn skips the check of array API input
    logs = check_estimator(AutoencoderTransformer(max_epochs=3, **parameters))
    assert len(logs) > 40
    assert {log["status"] for log in logs} == {"passed"}


# the checks transform an array after a fit to a data frame, and the other way round
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@CONFIGURATIONS
def test_the_checks_of_scikit_learn_for_its_own_estimators_pass(parameters):
    if parameters.get("warm_start"):  # PCA is computed in float64 and continued in float32: these checks see that
        parameters = parameters | {"init": "random"}
    for check in FURTHER_CHECKS:
        estimator = AutoencoderTransformer(max_epochs=1, random_state=0, **parameters)
        getattr(estimator_checks, check)("AutoencoderTransformer", estimator)


def test_more_than_twenty_configurations_are_checked():
    assert len({name(parameters) for parameters in CHANGE_THE_API + OTHERS}) > 20


@pytest.mark.slow
def test_without_the_variable_only_the_array_api_is_skipped(monkeypatch):
    monkeypatch.delenv("SCIPY_ARRAY_API", raising=False)
    logs = check_estimator(AutoencoderTransformer(max_epochs=3), on_skip=None)
    left = {log["check_name"]: log["status"] for log in logs if log["status"] != "passed"}
    assert left.items() <= {"check_array_api_input": "skipped"}.items()  # which scikit-learn 1.6 does not have
