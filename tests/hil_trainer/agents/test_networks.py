"""The networks compute what the papers say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.agents.networks import (
    ATTENTION_WIDTH,
    LOG_STD_MAX,
    LOG_STD_MIN,
    Attention,
    CriticEnsemble,
    EnsembleLinear,
    Features,
    GaussianPolicy,
    sample,
)
from hil_trainer.data.observations import OBJECT_FEATURES, ROBOT_FEATURES, feature_map
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
    matrix, offset = feature_map(STATE.state)
    features = Features(matrix, offset)
    numbers = torch.from_numpy(obs().state)[None]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = features(numbers)
    torch.testing.assert_close(mixed, features(numbers), rtol=0, atol=0)


def test_features_are_saved_but_never_learned():
    features = Features(*feature_map(STATE.state))
    assert set(features.state_dict()) == {"matrix", "offset"}
    assert not list(features.parameters())


BEFORE, BEHIND = ROBOT_FEATURES + 6, 2  # the robot's and a sensor's features, and others behind the objects'
PARTS = (("agent_pos", 18), ("force_torque", 6), ("environment_state", 9), ("colour", 2))


def attention(heads=2):
    torch.manual_seed(0)
    return Attention(PARTS, heads)


def features():
    """Of two observations with three objects each."""
    return torch.randn(2, len(feature_map(PARTS)[0]), generator=torch.Generator().manual_seed(1))


def split(features):
    before, objects, behind = features.tensor_split((BEFORE, features.shape[-1] - BEHIND), -1)
    return before, objects.unflatten(-1, (3, OBJECT_FEATURES)), behind


def test_features_of_no_object_are_passed_on():
    one, given = attention(), features()
    obs = one(given)
    assert obs.shape == (2, one.size) == (2, BEFORE + BEHIND + 2 * ATTENTION_WIDTH)
    before, _, behind = split(given)
    torch.testing.assert_close(obs[:, : BEFORE + BEHIND], torch.cat([before, behind], -1))


def test_objects_that_change_places_are_encoded_the_same_but_for_their_index():
    one, given = attention(), features()
    before, objects, behind = split(given)
    changed = torch.cat([before, objects[:, [2, 0, 1]].flatten(1), behind], -1)
    assert not torch.allclose(one(given), one(changed), atol=1e-3)
    one.which.zero_()
    torch.testing.assert_close(one(given), one(changed))


def test_each_head_attends_to_the_object_with_the_highest_score():
    one, given = attention(heads=1), features()
    before, objects, behind = split(given)
    with torch.no_grad():
        one.which.zero_()
        one.score.weight.mul_(1e5)
        whole = one(given)[:, BEFORE + BEHIND :]
        alone = [torch.cat([before, objects[:, [k] * 3].flatten(1), behind], -1) for k in range(3)]
        obs = torch.stack([one(features)[:, BEFORE + BEHIND :] for features in alone], 1)
        best = one.score(obs)[..., 0].argmax(1)
    torch.testing.assert_close(whole, obs[torch.arange(2), best])


def test_positions_two_centimetres_apart_are_encoded_differently():
    # 2 cm decide whether a box is in its place; a network for which they are 6% of full scale learns it slowly.
    parts = (("agent_pos", 18), ("environment_state", 3))
    matrix, offset = (torch.from_numpy(part) for part in feature_map(parts))
    encoded = []
    one = Attention(parts, 1)
    one.look.register_forward_hook(lambda module, inputs, output: encoded.append(inputs[0]))
    for shift in (0.0, 0.02):
        state = torch.zeros(1, 21)
        state[0, 15:18] = torch.tensor([0.3, 0.0, 0.3])
        state[0, 18:21] = torch.tensor([0.5, 0.3 + shift, 0.02])
        one(torch.nn.functional.linear(state, matrix, offset))
    assert (encoded[0] - encoded[1]).abs().max() > 0.6
