"""Critics learn what actions are worth, policies to take the better ones, and both only from what they may see."""

import copy

import numpy as np
import pytest
import torch

from hil_trainer.agents.sac import SAC, policy_shape
from hil_trainer.config import SACConfig
from tests.hil_trainer.made_up import (
    ACTIONS,
    ASYMMETRIC,
    HIDDEN,
    OBJECTS,
    PIXELS,
    STATE,
    act,
    batch,
    obs,
    transition,
    transitions,
)

ALL = pytest.mark.parametrize("layout", [STATE, HIDDEN, PIXELS, ASYMMETRIC], ids=["state", "hidden", "pixels", "both"])
GRIPPERS = pytest.mark.parametrize("gripper", ["continuous", "discrete"])
# So slow that nothing moves: what an update computes can be looked at.
STILL = {"learning_rate": 1e-30, "tau": 1e-30}
CRITICS_ALONE = {"policy_learning_rate": 0.0}


def learner(layout=STATE, mixed_precision=False, seed=0, **config):
    torch.manual_seed(seed)
    settings = SACConfig(**{"width": 32, **config})
    return SAC(policy_shape(layout, ACTIONS, settings), settings, mixed_precision=mixed_precision)


def parameters(module):
    return {name: value.clone() for name, value in module.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def constant(ensemble, values):
    """Make the members say these values whatever they see."""
    with torch.no_grad():
        ensemble.layers[-1].weight.zero_()
        ensemble.layers[-1].bias[:] = torch.tensor(values)[:, None, None]


def acted(count, **values):
    """The same transition with actions all over."""
    rng = np.random.default_rng(0)
    return [transition(action=rng.uniform(-1, 1, ACTIONS).astype(np.float32), **values) for _ in range(count)]


def test_critics_look_beyond_time_outs_but_not_beyond_terminations():
    first, last, for_ever = obs(number=1), obs(number=2), obs(number=3)
    steps = [
        *acted(16, obs=first, next_obs=last, reward=0.0, discount=0.5),
        *acted(16, obs=last, next_obs=for_ever, reward=1.0, discount=0.0),
        *acted(16, obs=for_ever, next_obs=for_ever, reward=1.0, discount=0.5),
    ]
    sac, together = learner(tau=0.1, learning_rate=3e-3, **CRITICS_ALONE), batch(steps)
    for _ in range(250):
        sac.update(together)
    with torch.no_grad():
        inputs = torch.cat([sac.features(together.observation.state), together.action], -1)
        values = sac.critic(inputs)[..., 0].mean(0).reshape(3, 16).mean(1)
    # The one after a termination is worth 2, and the one before it no more than its reward.
    np.testing.assert_allclose(values, [0.5, 1.0, 2.0], atol=0.1)


@pytest.mark.parametrize(("target_critics", "targets"), [(2, {1.0, 2.0, 3.0}), (4, {1.0}), (1, {1.0, 2.0, 3.0, 4.0})])
def test_a_target_is_the_least_of_some_critics_drawn_anew(target_critics, targets):
    sac = learner(target_critics=target_critics, **STILL)
    constant(sac.critic_target, [1.0, 2.0, 3.0, 4.0])
    constant(sac.critic, [0.0] * 4)
    one = batch([transition(reward=0.0, discount=1.0)])
    losses = [float(sac.update(one)["critic_loss"]) for _ in range(60)]
    assert {round(loss**0.5, 3) for loss in losses} == targets


@GRIPPERS
def test_several_updates_share_a_batch_evenly(gripper):
    # Rows for two updates in turn: one sees the rewards 0, the other the rewards 1, both with the same seed.
    steps = [transition(reward=float(number % 2), penalty=0.0, discount=0.0) for number in range(8)]
    sac = learner(gripper=gripper, **STILL)
    constant(sac.critic, [0.0] * 4)
    assert float(sac.update(batch(steps), updates=2)["critic_loss"]) == pytest.approx(1.0, abs=1e-6)
    assert float(sac.update(batch(steps[::-1]), updates=2)["critic_loss"]) == pytest.approx(0.0, abs=1e-6)


def test_several_updates_are_as_many_steps_of_the_critics_and_one_of_the_policy():
    sac = learner()
    sac.update(batch(transitions(12)), updates=3)
    steps = {name: {int(one["step"]) for one in optimiser.state.values()} for name, optimiser in sac.optimizers.items()}
    assert steps == {"critic": {3}, "policy": {1}, "temperature": {1}}


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_each_update_sees_what_the_one_before_has_learned(mixed_precision):
    sac = learner(mixed_precision=mixed_precision, learning_rate=1e-2, tau=1e-30)
    same_rows = batch([one for one in transitions(4) for _ in range(6)])
    torch.manual_seed(0)
    together = float(copy.deepcopy(sac).update(same_rows, updates=6)["critic_loss"])
    torch.manual_seed(0)
    assert together < 0.9 * float(sac.update(same_rows)["critic_loss"])


@GRIPPERS
def test_target_networks_follow_slowly(gripper):
    sac = learner(gripper=gripper, tau=0.25, learning_rate=1e-2)
    pairs = [(sac.critic_target, sac.critic)]
    if gripper == "discrete":
        pairs.append((sac.gripper_target, sac.policy.gripper))
    before = [parameters(target) for target, _ in pairs]
    sac.update(batch(transitions(8)))
    for earlier, (target, network) in zip(before, pairs, strict=True):
        now, led_by = parameters(target), parameters(network)
        assert not same(now, earlier)
        for name, value in now.items():
            torch.testing.assert_close(value, 0.75 * earlier[name] + 0.25 * led_by[name])


@pytest.mark.parametrize(("target_entropy", "rises"), [(-20.0, False), (20.0, True)])
def test_temperature_rises_while_actions_vary_too_little(target_entropy, rises):
    sac = learner(target_entropy=target_entropy)
    before = float(sac.temperature.detach())
    for _ in range(5):
        sac.update(batch(transitions(8)))
    assert (float(sac.temperature.detach()) > before) == rises


def test_a_policy_learns_the_better_actions():
    steps = [one._replace(reward=float(one.action[0]), discount=0.0) for one in acted(128)]
    sac, together = learner(learning_rate=3e-3), batch(steps)
    for _ in range(150):
        sac.update(together)
    assert act(sac.policy, steps[0].obs, greedy=True)[0] > 0.7


@pytest.mark.parametrize(("gripper", "value"), [("continuous", 0.25), ("discrete", 0.5)])
def test_the_gripper_penalty_is_part_of_the_reward_unless_the_gripper_has_critics_of_its_own(gripper, value):
    sac = learner(gripper=gripper, **STILL)
    constant(sac.critic_target, [0.0] * 4)
    constant(sac.critic, [value] * 4)
    together = batch([transition(reward=0.5, penalty=-0.25, discount=1.0)])
    assert float(sac.update(together)["critic_loss"]) == pytest.approx(0.0, abs=1e-6)


def test_a_discrete_gripper_counts_its_penalty():
    outcomes = [(-1.0, 0.6, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, -1.5)]  # command, reward, penalty
    steps = []
    for command, reward, penalty in outcomes:
        for one in acted(16, reward=reward, penalty=penalty, discount=0.0):
            one.action[-1] = command
            steps.append(one)
    sac, together = learner(gripper="discrete", learning_rate=3e-3, **CRITICS_ALONE), batch(steps)
    for _ in range(200):
        sac.update(together)
    inputs = sac.policy.encode(together.observation.state[:1])
    with torch.no_grad():
        np.testing.assert_allclose(sac.policy.gripper(inputs).mean(0)[0], [0.6, 0.0, -0.5], atol=0.1)
    assert act(sac.policy, steps[0].obs)[-1] == -1.0


def test_a_discrete_gripper_looks_beyond_time_outs_but_not_beyond_terminations():
    sac = learner(gripper="discrete", **STILL)
    constant(sac.policy.gripper, [0.0, 0.0])
    constant(sac.gripper_target, [2.0, 3.0])
    constant(sac.critic, [0.0] * 4)
    for discount, target in ((0.5, 1.0 + 0.5 * 2.0), (0.0, 1.0)):
        sac.update(batch([transition(reward=1.0, discount=discount)]))
        last = sac.policy.gripper.layers[-1].bias.grad[:, 0]  # of the mean squared error over two members
        assert sorted(set(last.flatten().round(decimals=4).tolist())) == [-target, 0.0]


@ALL
def test_what_only_the_simulation_knows_reaches_critics_alone(layout):
    sac, steps = learner(layout), transitions(8, layout)
    other = [
        one._replace(
            obs=one.obs._replace(privileged=one.obs.privileged + 1.0 if layout.privileged else one.obs.privileged)
        )
        for one in steps
    ]
    torch.manual_seed(0)
    first = copy.deepcopy(sac).update(batch(steps))
    torch.manual_seed(0)
    second = copy.deepcopy(sac).update(batch(other))
    assert (float(first["q"]) != float(second["q"])) == bool(layout.privileged)
    for one, changed in zip(steps, other, strict=True):
        np.testing.assert_array_equal(act(sac.policy, one.obs, greedy=True), act(sac.policy, changed.obs, greedy=True))


@GRIPPERS
def test_critics_that_see_images_train_the_encoder_and_the_policy_does_not(gripper):
    steps = batch(transitions(4, PIXELS))
    before = parameters(learner(PIXELS, gripper=gripper).policy.encoder)
    found = []
    for others in (CRITICS_ALONE, {}):
        one = learner(PIXELS, gripper=gripper, temperature=1.0, **others)
        torch.manual_seed(3)
        one.update(steps)
        found.append(one)
    critics_alone, both = (parameters(one.policy.encoder) for one in found)
    assert not same(critics_alone, before)
    assert same(both, critics_alone)
    assert not same(parameters(found[0].policy.arm), parameters(found[1].policy.arm))


@GRIPPERS
def test_critics_that_see_the_simulation_leave_the_encoder_to_the_policy(gripper):
    steps = batch(transitions(4, ASYMMETRIC))
    for others in (CRITICS_ALONE, {}):
        sac = learner(ASYMMETRIC, gripper=gripper, **others)
        before = parameters(sac.policy.encoder)
        sac.update(steps)
        assert same(parameters(sac.policy.encoder), before) == bool(others)


@pytest.mark.parametrize("layout", [PIXELS, ASYMMETRIC], ids=["pixels", "both"])
def test_a_policy_s_update_leaves_critics_as_they_are(layout):
    sac, steps = learner(layout), batch(transitions(4, layout))
    before = parameters(sac.critic)
    sac._update_policy(steps)
    assert same(parameters(sac.critic), before)
    assert all(value.requires_grad for value in sac.critic.parameters())


def test_an_encoder_learns_to_tell_what_the_simulation_knows():
    sac = learner(ASYMMETRIC, policy_learning_rate=3e-3, auxiliary=10.0, shift=0)
    steps = batch(transitions(4, ASYMMETRIC))
    losses = [float(sac.update(steps)["auxiliary_loss"]) for _ in range(80)]
    assert losses[-1] < losses[0] / 4


def test_imitation_follows_the_operator_and_nobody_else():
    action = np.full(ACTIONS, 0.8, np.float32)
    steps = [
        *[transition(action=action, reward=0.0, discount=0.0, is_intervention=True) for _ in range(8)],
        *[transition(action=-action, reward=0.0, discount=0.0, is_intervention=False) for _ in range(8)],
    ]
    sac, together = learner(imitation=100.0, policy_learning_rate=3e-3), batch(steps)
    for _ in range(150):
        sac.update(together)
    np.testing.assert_allclose(act(sac.policy, steps[0].obs, greedy=True), action, atol=0.1)


@GRIPPERS
def test_attention_learns_with_the_policy_and_only_with_it(gripper):
    steps = batch(transitions(8, OBJECTS))
    sac = learner(OBJECTS, attention_heads=2, gripper=gripper, **CRITICS_ALONE)
    before = parameters(sac.policy.attention)
    sac.update(steps)
    assert same(before, parameters(sac.policy.attention))
    sac = learner(OBJECTS, attention_heads=2, gripper=gripper)
    sac.update(steps)
    after = parameters(sac.policy.attention)
    assert not any(torch.equal(value, after[name]) for name, value in before.items() if name != "score.bias")


def test_attention_learns_whose_turn_it_is():
    # The operator moves towards whichever of three objects has not been lifted.
    rng = np.random.default_rng(0)
    steps = []
    for number in range(256):
        one = obs(OBJECTS, number)
        turn = rng.integers(3)
        objects = rng.uniform([0.3, -0.3, 0.1], [0.5, 0.3, 0.1], (3, 3))
        objects[turn, 2] = 0.02
        state = np.concatenate([np.zeros(18), objects.ravel()]).astype(np.float32)
        action = np.array([0, np.sign(objects[turn, 1]) * 0.8, 0, 0], np.float32)
        one = one._replace(state=state)
        steps.append(transition(OBJECTS, obs=one, action=action, reward=0.0, discount=0.0, is_intervention=True))
    sac = learner(OBJECTS, attention_heads=1, imitation=100.0, policy_learning_rate=3e-3)
    for _ in range(60):
        sac.update(batch(steps[:192]))
    acted = np.array([act(sac.policy, step.obs, greedy=True)[1] for step in steps[192:]])
    assert np.mean(np.sign(acted) == np.sign([step.action[1] for step in steps[192:]])) > 0.9


@ALL
@GRIPPERS
def test_a_learner_that_is_read_back_goes_on_exactly(layout, gripper):
    before, steps = learner(layout, gripper=gripper), batch(transitions(4, layout))
    for _ in range(2):
        before.update(steps)
    after = learner(layout, gripper=gripper, seed=99)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    for sac in (before, after):
        torch.manual_seed(1)
        sac.update(steps, updates=2)
        sac.update(steps)
    for name in ("policy", "critic", "critic_target", "gripper_target", "auxiliary_head"):
        one, other = getattr(before, name), getattr(after, name)
        assert (one is None and other is None) or same(parameters(one), parameters(other)), name
    assert float(before.log_temperature.detach()) == float(after.log_temperature.detach())


def test_learning_rates_are_those_of_the_configuration():
    before, after = learner(learning_rate=1e-2), learner(learning_rate=1e-5, policy_learning_rate=1e-6)
    before.update(batch(transitions(4)))
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in after.optimizers.items()}
    assert rates == {"critic": 1e-5, "policy": 1e-6, "temperature": 1e-5}


@ALL
@GRIPPERS
def test_mixed_precision_comes_near(layout, gripper):
    steps = batch(transitions(16, layout))
    found = []
    for mixed in (False, True):
        sac = learner(layout, mixed, gripper=gripper)
        torch.manual_seed(1)
        found.append({name: float(value) for name, value in sac.update(steps).items()})
    exact, mixed = found
    assert mixed == pytest.approx(exact, rel=0.05, abs=0.05)
    assert all(np.isfinite(list(mixed.values())))
