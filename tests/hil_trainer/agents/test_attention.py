"""Things are looked at alike, and weighed against each other."""

import torch

from hil_trainer.agents.attention import WIDTH, Attention
from hil_trainer.data.observations import AGENT_FEATURES, THING_FEATURES, feature_map

BEFORE, BEHIND = AGENT_FEATURES + 6, 2  # the agent's and a sensor's features, and others that come after the things
PARTS = (("agent_pos", 18), ("force_torque", 6), ("environment_state", 9), ("colour", 2))


def attention(heads=2):
    torch.manual_seed(0)
    return Attention(PARTS, heads)


def features():
    """Of two observations with three things each."""
    return torch.randn(2, len(feature_map(PARTS)[0]), generator=torch.Generator().manual_seed(1))


def split(features):
    before, things, behind = features.tensor_split((BEFORE, features.shape[-1] - BEHIND), -1)
    return before, things.unflatten(-1, (3, THING_FEATURES)), behind


def test_what_is_no_thing_is_passed_on():
    one, given = attention(), features()
    obs = one(given)
    assert obs.shape == (2, one.size) == (2, BEFORE + BEHIND + 2 * WIDTH)
    before, _, behind = split(given)
    torch.testing.assert_close(obs[:, : BEFORE + BEHIND], torch.cat([before, behind], -1))


def test_things_that_change_places_look_the_same_but_for_which_they_are():
    one, given = attention(), features()
    before, things, behind = split(given)
    changed = torch.cat([before, things[:, [2, 0, 1]].flatten(1), behind], -1)
    assert not torch.allclose(one(given), one(changed), atol=1e-3)
    one.which.zero_()
    torch.testing.assert_close(one(given), one(changed))


def test_each_head_looks_at_the_thing_with_the_highest_score():
    one, given = attention(heads=1), features()
    before, things, behind = split(given)
    with torch.no_grad():
        one.which.zero_()
        one.score.weight.mul_(1e5)
        whole = one(given)[:, BEFORE + BEHIND :]
        alone = [torch.cat([before, things[:, [k] * 3].flatten(1), behind], -1) for k in range(3)]
        obs = torch.stack([one(features)[:, BEFORE + BEHIND :] for features in alone], 1)
        best = one.score(obs)[..., 0].argmax(1)
    torch.testing.assert_close(whole, obs[torch.arange(2), best])


def test_places_two_centimetres_apart_look_different():
    # 2 cm decide whether a box is in its place; a network that sees them as 6% of full scale learns it slowly.
    parts = (("agent_pos", 18), ("environment_state", 3))
    matrix, offset = (torch.from_numpy(part) for part in feature_map(parts))
    looked_at = []
    one = Attention(parts, 1)
    one.look.register_forward_hook(lambda module, inputs, output: looked_at.append(inputs[0]))
    for shift in (0.0, 0.02):
        numbers = torch.zeros(1, 21)
        numbers[0, 15:18] = torch.tensor([0.3, 0.0, 0.3])
        numbers[0, 18:21] = torch.tensor([0.5, 0.3 + shift, 0.02])
        one(torch.nn.functional.linear(numbers, matrix, offset))
    assert (looked_at[0] - looked_at[1]).abs().max() > 0.6
