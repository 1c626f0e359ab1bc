"""The networks compute what the papers say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.agents.networks import (
    LOG_STD_MAX,
    LOG_STD_MIN,
    CriticEnsemble,
    EnsembleLinear,
    Features,
    GaussianPolicy,
    sample,
)
from hil_trainer.data.observations import feature_map
from tests.hil_trainer.made_up import STATE, obs

MEANS = st.lists(st.floats(-4, 4), min_size=3, max_size=3)
LOG_STDS = st.lists(st.floats(LOG_STD_MIN, LOG_STD_MAX), min_size=3, max_size=3)


@settings(max_examples=40)
@given(MEANS, LOG_STDS, st.integers(0, 1000))
def test_densities_are_those_of_a_squashed_gaussian(mean, log_std, seed):
    mean, log_std = (torch.tensor([values], dtype=torch.float64) for values in (mean, log_std))
    torch.manual_seed(seed)
    action, log_probability = sample(mean, log_std)
    torch.manual_seed(seed)
    gaussian = torch.distributions.Normal(mean, log_std.exp())
    drawn = mean + log_std.exp() * torch.randn_like(mean)
    squash = torch.distributions.TanhTransform()
    expected = (gaussian.log_prob(drawn) - squash.log_abs_det_jacobian(drawn, torch.tanh(drawn))).sum(-1)
    torch.testing.assert_close(action, torch.tanh(drawn))
    torch.testing.assert_close(log_probability, expected)


@pytest.mark.parametrize("mean", [-100.0, 100.0])
def test_densities_far_out_stay_finite_and_have_gradients(mean):
    mean = torch.full((1, 3), mean, requires_grad=True)
    action, log_probability = sample(mean, torch.full((1, 3), LOG_STD_MAX))
    log_probability.sum().backward()
    assert action.abs().max() <= 1
    assert torch.isfinite(log_probability).all()
    assert torch.isfinite(mean.grad).all()


def test_spread_stays_within_bounds():
    policy = GaussianPolicy(4, 2, width=8)
    with torch.no_grad():
        policy.head.bias[2:] = torch.tensor([100.0, -100.0])
    _, log_std = policy(torch.randn(5, 4))
    assert log_std[:, 0].unique().tolist() == [LOG_STD_MAX]
    assert log_std[:, 1].unique().tolist() == [LOG_STD_MIN]


def test_a_layer_of_an_ensemble_is_a_layer_for_each_member():
    layer = EnsembleLinear(3, 4, 5)
    torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(3, 6, 4)
    for member, outputs in enumerate(layer(inputs)):
        expected = torch.nn.functional.linear(inputs[member], layer.weight[member].T, layer.bias[member, 0])
        torch.testing.assert_close(outputs, expected)


def test_each_critic_has_an_opinion_of_its_own():
    critic = CriticEnsemble(4, 6, 3, width=16)
    values = critic(torch.randn(10, 6))
    assert values.shape == (4, 10, 3)
    assert values.std(0).min() > 0
    values[0].sum().backward()
    for layer in critic.layers:
        assert layer.weight.grad[0].abs().sum() > 0
        assert not layer.weight.grad[1:].any()


def test_some_critics_can_be_asked_alone():
    critic, inputs = CriticEnsemble(4, 6, 3, width=16), torch.randn(10, 6)
    torch.testing.assert_close(critic(inputs, torch.tensor([2, 0])), critic(inputs)[[2, 0]])


def test_features_are_exact_in_mixed_precision():
    matrix, offset = feature_map(STATE.numbers)
    features = Features(matrix, offset)
    numbers = torch.from_numpy(obs().numbers)[None]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = features(numbers)
    torch.testing.assert_close(mixed, features(numbers), rtol=0, atol=0)


def test_features_are_saved_but_never_learned():
    features = Features(*feature_map(STATE.numbers))
    assert set(features.state_dict()) == {"matrix", "offset"}
    assert not list(features.parameters())
