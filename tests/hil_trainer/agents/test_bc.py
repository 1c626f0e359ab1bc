"""What imitation learns from, and how its policy plans."""

from functools import partial

import pytest
import torch

from hil_trainer.agents.agent import Plans
from hil_trainer.agents.bc import BC, policy_shape
from hil_trainer.agents.policy import FlowPolicyShape
from hil_trainer.config import BCConfig
from hil_trainer.data.observations import Observation
from hil_trainer.data.transitions import Chunks, Transitions
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, PIXELS, STATE, obs, pack, transitions

SMALL = BCConfig(width=16, chunk_size=3, n_action_steps=2, batch_size=32, encoded_copies=3, attention_heads=1)
TINY = "tests.hil_trainer.agents.tiny_encoder:network"


def windows(count, action, mask):
    observations = [obs(STATE, number) for number in range(count)]
    state = torch.stack([torch.from_numpy(one.state) for one in observations])
    return Chunks(
        Observation(state, torch.zeros(count, 0), None),
        torch.tensor(action)[:, None].expand(count, 3, ACTIONS),
        torch.tensor(mask).expand(count, 3),
    )


def test_the_policy_learns_what_the_operator_does_and_ignores_the_rest():
    torch.manual_seed(0)
    bc = BC(policy_shape(STATE, ACTIONS, SMALL), SMALL)
    batch = windows(32, [0.5, 0.5, -0.9], [1.0, 1.0, 0.0])
    for _ in range(300):
        bc.update(batch)
    plan = bc.policy.choose(bc.policy.encode(batch.observation.state), greedy=True).mean((0, 2))
    assert plan[:2].min() > 0.4 > 0.2 > abs(plan[2])


def test_a_plan_is_executed_in_part_and_dropped_where_the_operator_has_acted():
    policy = FlowPolicyShape(STATE, ACTIONS, width=16, chunk_size=3, n_action_steps=2).make_policy()
    plans = Plans(1)

    def act(number):
        return plans.act(partial(policy.plans, greedy=True), {0: obs(STATE, number)})[0]

    first, rest, anew = act(1), act(2), act(1)  # the second was planned before what is seen then
    assert (first == anew).all()
    plans.drop(0)
    assert (act(1) == first).all()
    assert (act(7) == rest).all()


@pytest.mark.parametrize("discrete", [True, False])
def test_a_discrete_gripper_opens_stays_or_closes(discrete):
    torch.manual_seed(0)
    shape = FlowPolicyShape(STATE, ACTIONS, width=16, discrete_gripper=discrete)
    gripper = shape.make_policy().choose(torch.randn(50, shape.make_policy().inputs))[..., -1]
    assert set(gripper.unique().tolist()) <= {-1.0, 0.0, 1.0} if discrete else len(gripper.unique()) > 100


def test_simulation_state_is_predicted_from_images_where_it_is_known():
    assert BC(policy_shape(ASYMMETRIC, ACTIONS, SMALL), SMALL).auxiliary_head is not None
    assert BC(policy_shape(PIXELS, ACTIONS, SMALL), SMALL).auxiliary_head is None


def test_features_of_shifted_copies_are_kept_instead_of_images():
    bc = BC(policy_shape(PIXELS, ACTIONS, SMALL, TINY), SMALL)
    given = pack(transitions(5, PIXELS))
    kept = bc.keep(given)
    assert kept.images.shape == (5, *bc.encoded) == (5, 3, 2, 6, 2, 2)
    assert len(bc.keep(Transitions(given.rows[:0], given.images[:0])).images) == 0  # of offline steps
    images = torch.from_numpy(given.images[:, 0])
    assert torch.equal(torch.from_numpy(kept.images[:, 0]), bc.policy.prepare(images).half())
    assert not torch.equal(torch.from_numpy(kept.images[:, 1]), bc.policy.prepare(images).half())
    assert not any(name.startswith("frozen") for name in bc.policy.state_dict())
