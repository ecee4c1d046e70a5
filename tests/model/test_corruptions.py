"""Each corruption replaces the right fraction of entries by the right values, drawing only from its generator."""

import numpy as np
import pytest
import torch

from sklearn_ae.base import CheckContext, DataBounds
from sklearn_ae.corruptions import CORRUPTIONS, Corruption, GaussianNoise, Masking, SaltAndPepper, corruption_of

N, D = 2000, 20
NAMES = sorted(CORRUPTIONS)
BOUNDS = DataBounds(
    zero=torch.linspace(-3, -2, D, dtype=torch.float64),
    mean=torch.linspace(-1, 1, D, dtype=torch.float64),
    low=torch.linspace(-9, -8, D, dtype=torch.float64),
    high=torch.linspace(8, 9, D, dtype=torch.float64),
    spread=2.5,
)


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bounds_in(dtype) -> DataBounds:
    return DataBounds(*(point.to(dtype) for point in BOUNDS[:4]), BOUNDS.spread)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(N, D, generator=generator(1), dtype=torch.float64)


@pytest.fixture(params=NAMES)
def corruption(request) -> Corruption:
    return CORRUPTIONS[request.param]()


def assert_chosen_at(rate, chosen):
    """Compare fractions of chosen entries, overall and by column, with a rate to 4.5 standard deviations."""
    for fraction, n in ((chosen.double().mean(), N * D), (chosen.double().mean(dim=0), N)):
        assert ((fraction - rate).abs() < 4.5 * (rate * (1 - rate) / n) ** 0.5).all()


def assert_independent(chosen):
    """Bound correlations between the columns' choices by 4.5 standard errors."""
    correlations = torch.corrcoef(chosen.double().T) - torch.eye(D, dtype=torch.float64)
    assert (correlations.abs() < 4.5 / N**0.5).all()


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.7])
def test_masking_sets_entries_to_the_mean_at_its_rate(rate, x):
    masked = Masking(rate)(x, BOUNDS, generator())
    chosen = masked != x
    assert_chosen_at(rate, chosen)
    assert_independent(chosen)
    assert torch.equal(masked, torch.where(chosen, BOUNDS.mean, x))


@pytest.mark.parametrize("fills_missing", [False, True])
def test_masking_sets_entries_to_zero_where_it_is_a_bound_unless_missing_entries_are_filled(fills_missing, x):
    """Zero is the minimum of the first five columns and the maximum of the next five."""
    low, high = BOUNDS.low.clone(), BOUNDS.high.clone()
    low[:5], high[5:10] = BOUNDS.zero[:5], BOUNDS.zero[5:10]
    bounds = BOUNDS._replace(low=low, high=high, fills_missing=fills_missing)
    masked = Masking(0.5)(x, bounds, generator())
    expected = BOUNDS.mean.clone()
    if not fills_missing:
        expected[:10] = BOUNDS.zero[:10]
    assert torch.equal(masked, torch.where(masked != x, expected, x))


def test_salt_and_pepper_and_gaussian_noise_do_not_depend_on_where_zero_is(x):
    far = BOUNDS._replace(zero=BOUNDS.zero - 60)
    for corruption in (SaltAndPepper(0.5), GaussianNoise()):
        assert torch.equal(corruption(x, far, generator()), corruption(x, BOUNDS, generator()))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_salt_and_pepper_set_entries_to_both_ends_of_their_column_at_half_the_rate_each(rate, x):
    salted = SaltAndPepper(rate)(x, BOUNDS, generator())
    high, low = salted == BOUNDS.high, salted == BOUNDS.low
    for chosen in (high, low):
        assert_chosen_at(rate / 2, chosen)
    assert_independent(high | low)
    assert torch.equal(salted, torch.where(high, BOUNDS.high, torch.where(low, BOUNDS.low, x)))


@pytest.mark.parametrize("scale", [0.05, 0.3, 2.0])
def test_gaussian_noise_has_its_scale_times_the_spread(scale, x):
    """Bounds are 4.5 standard errors."""
    noise = (GaussianNoise(scale)(x, BOUNDS, generator()) - x) / (scale * BOUNDS.spread)
    n = N * D
    assert abs(noise.mean()) < 4.5 / n**0.5
    assert abs(noise.square().mean() - 1) < 4.5 * (2 / n) ** 0.5
    assert abs(noise.pow(4).mean() - 3) < 4.5 * (96 / n) ** 0.5
    assert_independent(noise)


def test_gaussian_noise_changes_every_entry(x):
    assert (GaussianNoise()(x, BOUNDS, generator()) != x).all()


def test_input_is_not_changed(corruption, x):
    before = x.clone()
    corrupted = corruption(x, BOUNDS, generator())
    assert torch.equal(x, before)
    assert corrupted.data_ptr() != x.data_ptr()


def test_the_same_seed_draws_the_same_bits(corruption, x):
    first, again, other = (corruption(x, BOUNDS, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_generator_draws_new_noise_for_each_batch(corruption, x):
    source = generator(3)
    assert not torch.equal(corruption(x, BOUNDS, source), corruption(x, BOUNDS, source))


def test_the_global_generator_is_not_used(corruption, x):
    before = torch.get_rng_state()
    corruption(x, BOUNDS, generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape_are_kept(corruption, dtype, x):
    corrupted = corruption(x.to(dtype), bounds_in(dtype), generator())
    assert corrupted.dtype == dtype
    assert corrupted.shape == x.shape


@pytest.mark.parametrize("value", [None, 0, 0.0, False])
def test_none_and_zero_mean_no_corruption(value):
    assert corruption_of(value) is None


@pytest.mark.parametrize("rate", [0.3, np.float32(0.3), np.float64(0.3)], ids=lambda rate: type(rate).__name__)
def test_a_number_is_the_rate_of_masking(rate):
    assert corruption_of(rate) == Masking(float(rate))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_instance_with_its_defaults(name):
    assert corruption_of(name) == CORRUPTIONS[name]()


def test_an_instance_is_returned_unchanged(corruption):
    assert corruption_of(corruption) is corruption


def test_an_unknown_name_raises():
    with pytest.raises(ValueError, match=r"'salt'.*'gaussian_noise'"):
        corruption_of("salt")


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, np.nan])
@pytest.mark.parametrize("cls", [Masking, SaltAndPepper])
def test_rates_must_be_between_zero_and_one(cls, value):
    with pytest.raises(ValueError, match=rf"{cls.__name__}\(rate={value}\): rate must be in \(0, 1\)"):
        cls(value).check(CheckContext(D, 2, (0.0, 1.0), False, True))


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_scales_must_be_above_zero(value):
    with pytest.raises(ValueError, match=rf"GaussianNoise\(scale={value}\): scale must be above 0"):
        GaussianNoise(value).check(CheckContext(D, 2, (0.0, 1.0), False, True))


def test_the_base_class_raises(x):
    with pytest.raises(NotImplementedError):
        Corruption()(x, BOUNDS, generator())
