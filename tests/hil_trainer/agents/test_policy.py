"""A policy acts on what it may see, and on nothing else."""

import numpy as np
import pytest
import torch

from hil_trainer.agents.policy import Policy, PolicyShape
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, HIDDEN, OBJECTS, PIXELS, STATE, act, obs

LAYOUTS = pytest.mark.parametrize(
    "layout", [STATE, HIDDEN, PIXELS, ASYMMETRIC], ids=["state", "hidden", "pixels", "both"]
)


def policy(layout=STATE, **shape):
    torch.manual_seed(0)
    return Policy(PolicyShape(layout, ACTIONS, width=16, **shape))


@LAYOUTS
@pytest.mark.parametrize("discrete", [False, True])
def test_actions_are_in_range_and_the_likeliest_is_always_the_same(layout, discrete):
    acting = policy(layout, discrete_gripper=discrete)
    drawn = [act(acting, obs(layout, 1)) for _ in range(5)]
    assert all(action.shape == (ACTIONS,) and action.dtype == np.float32 for action in drawn)
    assert np.abs(drawn).max() <= 1
    assert len({action.tobytes() for action in drawn}) == 5
    likeliest = {act(acting, obs(layout, 1), greedy=True).tobytes() for _ in range(5)}
    assert len(likeliest) == 1


@LAYOUTS
def test_what_only_the_simulation_knows_never_changes_an_action(layout):
    acting = policy(layout, discrete_gripper=True)
    assert acting.shape.layout.privileged == ()
    one = obs(layout, 1)
    other = one._replace(privileged=one.privileged + 100)
    for number in range(3):
        torch.manual_seed(number)
        action = act(acting, one)
        torch.manual_seed(number)
        np.testing.assert_array_equal(act(acting, other), action)


@pytest.mark.parametrize("discrete", [False, True])
def test_a_policy_that_attends_acts_on_every_thing(discrete):
    acting = policy(OBJECTS, discrete_gripper=discrete, attention_heads=2)
    one = obs(OBJECTS, 1)
    actions = {act(acting, one, greedy=True).tobytes()}
    for number in range(3):
        state = one.state.copy()
        state[18 + 3 * number] += 0.1
        actions.add(act(acting, one._replace(state=state), greedy=True).tobytes())
    assert len(actions) == 4


@pytest.mark.parametrize("layout", [HIDDEN, PIXELS, ASYMMETRIC])
def test_attention_is_left_out_where_no_things_are_seen(layout):
    plain, attending = policy(layout), policy(layout, attention_heads=2)
    assert attending.attention is None
    np.testing.assert_array_equal(act(attending, obs(layout), greedy=True), act(plain, obs(layout), greedy=True))


def test_a_discrete_gripper_takes_what_is_worth_most():
    acting = policy(discrete_gripper=True)
    last = acting.gripper.layers[-1]
    for choice, command in enumerate((-1.0, 0.0, 1.0)):
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            last.bias[:, 0, choice] = 1.0
        assert act(acting, obs())[-1] == command


def test_images_change_actions():
    acting = policy(PIXELS)
    one = obs(PIXELS, 1)
    other = one._replace(images=255 - one.images)
    assert (act(acting, one, greedy=True) != act(acting, other, greedy=True)).any()
