"""Which windows critics and imitation take, what they learn from them, and what the policies make of it."""

import dataclasses

import numpy as np
import pytest
import torch

from hil_trainer.agents.acfql import ACFQL, policy_shape
from hil_trainer.agents.bc import BC
from hil_trainer.agents.bc import policy_shape as imitated_shape
from hil_trainer.config import ACFQLConfig, BCConfig
from hil_trainer.data.chunks import sample_chunks
from hil_trainer.data.observations import Observation
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import ChunkReturns, Chunks
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, obs, pack, transitions

LENGTH = 3
SMALL = ACFQLConfig(width=32, chunk_size=LENGTH, n_action_steps=2, flow_steps=4, encoded_copies=2, discount=0.5)
TINY = "tests.hil_trainer.agents.tiny_encoder:network"


def acfql(layout=STATE, encoder=None, **settings):
    config = dataclasses.replace(SMALL, **settings)
    return ACFQL(policy_shape(layout, ACTIONS, config, encoder), config)


def windows(actions, rewards, *, operator=1.0, is_step=1.0, is_whole=1.0):
    """Windows from one state, each of equal actions and with a return after which nothing follows."""
    count = len(actions)
    state = torch.from_numpy(obs(STATE, 1).state).expand(count, -1)
    observation = Observation(state, torch.zeros(count, 0), None)
    action = torch.tensor(actions)[:, None, None].expand(count, LENGTH, ACTIONS)
    steps = torch.as_tensor(is_step).expand(count, LENGTH)
    returns = ChunkReturns(
        torch.tensor(rewards), torch.zeros(count), observation, steps, torch.as_tensor(is_whole).expand(count)
    )
    return Chunks(observation, action * steps[..., None], torch.as_tensor(operator).expand(count, LENGTH), returns)


def values(algorithm, actions):
    batch = windows(actions, [0.0] * len(actions))
    features = algorithm.policy.encode(batch.observation.state)
    with torch.no_grad():
        return algorithm.critic(torch.cat([features, batch.action.flatten(1)], -1)).mean(0)[:, 0]


def learned(algorithm, batch, updates=200):
    for _ in range(updates):
        algorithm.update(batch)
    return algorithm


# The operator does 0.2, which brings little; 0.6 was done by the policy and brought more.
OPERATOR = torch.tensor([1.0, 1.0, 0.0, 0.0])[:, None]
BETTER = windows([0.2, 0.2, 0.6, 0.6], [0.3, 0.3, 1.0, 1.0], operator=OPERATOR)


def test_the_policy_leaves_what_the_operator_does_for_what_is_better_once_it_has_acted():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, alpha=100.0, online_alpha=0.3, gripper="continuous", learning_rate=3e-3)
    algorithm = ACFQL(policy_shape(STATE, ACTIONS, config), config, offline_steps=100)
    features = algorithm.network.encode(BETTER.observation.state)
    noise = torch.zeros(4, LENGTH * ACTIONS)
    offline = learned(algorithm, BETTER, 100).network.plan(features, noise).mean()
    online = learned(algorithm, BETTER, 1000).network.plan(features, noise).mean()
    assert offline < 0.3 < 0.4 < online
    assert abs(algorithm.network.imitated(features, noise).mean() - 0.2) < 0.1


@pytest.mark.parametrize("given", [0, 3, 9])
def test_an_offline_part_that_has_ended_stays_ended_in_a_resume_with_other_settings(given):
    config = dataclasses.replace(SMALL, offline_critic_steps=3)
    algorithm = ACFQL(policy_shape(STATE, ACTIONS, config), config, offline_steps=3)
    for _ in range(4):
        algorithm.update(BETTER)
    again = ACFQL(policy_shape(STATE, ACTIONS, config), config, offline_steps=given)
    again.load_state_dict(algorithm.state_dict())
    assert (again._learning_rate(), again._alpha) == (algorithm._learning_rate(), algorithm._alpha)
    assert again.utd_ratio == config.utd_ratio


def test_the_flow_is_learned_before_critics_and_residual():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, offline_critic_steps=2)
    algorithm = ACFQL(policy_shape(STATE, ACTIONS, config), config, offline_steps=5)
    parts = {"flow": algorithm.network.velocity, "residual": algorithm.network.residual, "critic": algorithm.critic}
    moved = []
    for _ in range(4):
        assert algorithm.utd_ratio == (1 if len(moved) < 3 else config.utd_ratio)
        before = {name: torch.cat([value.flatten() for value in part.parameters()]) for name, part in parts.items()}
        algorithm.update(BETTER, updates=algorithm.utd_ratio)
        after = {name: torch.cat([value.flatten() for value in part.parameters()]) for name, part in parts.items()}
        moved.append([name for name, value in after.items() if not torch.equal(value, before[name])])
    assert moved == [["flow"]] * 3 + [["flow", "residual", "critic"]]


def test_the_learning_rate_has_fallen_when_the_offline_steps_are_over():
    config = dataclasses.replace(SMALL, utd_ratio=2, final_learning_rate=0.1)
    algorithm = ACFQL(policy_shape(STATE, ACTIONS, config), config, offline_steps=4)
    for _ in range(5):
        algorithm.update(BETTER, updates=config.utd_ratio)
    assert algorithm.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * config.learning_rate)


@pytest.mark.parametrize(
    ("operator", "is_whole", "mixed_windows", "learns"),
    [
        ([1.0, 1.0, 1.0], 1.0, False, True),
        ([0.0, 0.0, 0.0], 1.0, False, True),
        ([0.0, 0.0, 1.0], 1.0, False, False),
        ([0.0, 0.0, 1.0], 1.0, True, True),
        ([1.0, 1.0, 1.0], 0.0, True, False),
    ],
    ids=["operator", "policy", "mixed", "mixed and told so", "cut off"],
)
def test_critics_learn_from_whole_windows_of_one_driver(operator, is_whole, mixed_windows, learns):
    torch.manual_seed(0)
    algorithm = acfql(mixed_windows=mixed_windows)
    before = values(algorithm, [0.5])
    report = algorithm.update(windows([0.5, 0.5], [5.0, 5.0], operator=torch.tensor(operator), is_whole=is_whole))
    assert bool((values(algorithm, [0.5]) != before).item()) == learns
    assert all(torch.isfinite(value) for value in report.values())


def test_what_would_follow_a_termination_has_no_value():
    torch.manual_seed(0)
    batch = windows([0.5], [1.0], is_step=torch.tensor([1.0, 0.0, 0.0]))
    algorithm = acfql(critic_learning_rate=3e-3)
    executed = torch.cat([algorithm._executed(batch) for _ in range(50)]).view(50, LENGTH, ACTIONS)
    assert (executed[:, 0] == 0.5).all()
    assert executed[:, 1:].std(0).min() > 0.3
    learned(algorithm, batch)
    features = algorithm.policy.encode(batch.observation.state)
    for rest in (-1.0, 1.0):
        chunk = torch.cat([batch.action[:, 0], torch.full((1, 2 * ACTIONS), rest)], -1)
        assert abs(algorithm.critic(torch.cat([features, chunk], -1)).mean() - 1.0) < 0.1


def test_values_are_discounted_by_step_over_chunks():
    torch.manual_seed(0)
    # An episode of six steps, each like the others but for its state, with a reward at its end.
    made = [
        one._replace(reward=float(number == 5), discount=0.5 * (number < 5), is_intervention=True)
        for number, one in enumerate(transitions(6))
    ]
    buffer = ReplayBuffer(STATE, ACTIONS, 10)
    buffer.add(pack(made))
    algorithm = acfql(utd_ratio=1, tau=0.1, critic_learning_rate=3e-3)
    for _ in range(300):
        algorithm.update(sample_chunks(buffer, 16, LENGTH, returns=True))
    for number in range(4):
        chunk = torch.from_numpy(np.concatenate([step.action for step in made[number : number + LENGTH]]))
        features = algorithm.policy.encode(torch.from_numpy(made[number].obs.state)[None])
        q = algorithm.critic(torch.cat([features, chunk[None]], -1)).mean()
        assert abs(q - 0.5 ** (5 - number)) < 0.1, number


@pytest.mark.parametrize(("layout", "encoder"), [(PIXELS, None), (ASYMMETRIC, None), (PIXELS, TINY)])
def test_images_are_learned_from_with_every_encoder(layout, encoder):
    torch.manual_seed(0)
    algorithm = acfql(layout, encoder)
    buffer = ReplayBuffer(layout, ACTIONS, 10, encoded=algorithm.encoded)
    buffer.add(algorithm.keep(pack(transitions(8, layout, is_intervention=True))))
    before = [value.clone() for value in algorithm.network.encoder.parameters()]
    report = algorithm.update(sample_chunks(buffer, 8, LENGTH, returns=True), updates=2)
    assert all(torch.isfinite(value) for value in report.values())
    assert any((old != new).any() for old, new in zip(before, algorithm.network.encoder.parameters(), strict=True))
    assert ("auxiliary_loss" in report) == (layout is ASYMMETRIC)


def test_an_imitated_policy_is_where_it_starts_and_is_not_lost_at_once():
    torch.manual_seed(0)
    settings = {"width": 32, "chunk_size": LENGTH, "n_action_steps": 2, "flow_steps": 4, "gripper": "continuous"}
    imitating = BC(imitated_shape(STATE, ACTIONS, BCConfig(**settings)), BCConfig(**settings))
    batch = windows([0.4], [1.0])
    for _ in range(150):
        imitating.update(batch)
    features = imitating.policy.encode(batch.observation.state)
    imitated = imitating.policy.choose(features, greedy=True)
    algorithm = acfql(gripper="continuous")
    algorithm.start_from(imitating.policy)
    assert torch.equal(algorithm.policy.choose(features, greedy=True), imitated)
    learned(algorithm, batch, 100)
    assert (algorithm.policy.choose(features, greedy=True) - imitated).abs().max() < 0.1
