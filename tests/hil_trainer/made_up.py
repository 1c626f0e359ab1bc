"""Observations and transitions that no environment gave."""

from typing import Any, NamedTuple

import numpy as np
import torch

from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.transitions import Rollout, RowFormat, Transitions

STATE = ObservationLayout((("agent_pos", 18), ("environment_state", 3)))
OBJECTS = ObservationLayout((("agent_pos", 18), ("environment_state", 9)))
HIDDEN = ObservationLayout((("agent_pos", 18),), (("environment_state", 3), ("gripper_closed", 1)))
PIXELS = ObservationLayout((("agent_pos", 18),), cameras=("front", "wrist"), image_size=16)
ASYMMETRIC = ObservationLayout(HIDDEN.state, HIDDEN.privileged, PIXELS.cameras, PIXELS.image_size)
ACTIONS = 4


class Transition(NamedTuple):
    """One transition, before it is put into arrays."""

    obs: Observation
    action: Any
    reward: float
    discount: float
    penalty: float
    next_obs: Observation
    is_intervention: bool
    number: int


def obs(layout=STATE, number=0):
    """An observation whose first component is its number; the others are drawn from that."""
    rng = np.random.default_rng(number)
    state = rng.uniform(-1, 1, layout.state_size).astype(np.float32)
    state[0] = number
    shape = layout.image_shape
    return Observation(
        state,
        rng.uniform(-1, 1, layout.privileged_size).astype(np.float32),
        None if shape is None else rng.integers(0, 256, shape, np.uint8),
    )


def act(policy, observation, **options):
    """The first action that a policy plans."""
    return policy.plans([observation], **options)[0][0]


def transition(layout=STATE, number=0, **values):
    """A transition whose reward is its number, too."""
    action = np.random.default_rng(number).uniform(-1, 1, ACTIONS).astype(np.float32)
    made = Transition(obs(layout, number), action, float(number), 0.9, 0.0, obs(layout, number + 1), False, number)
    return made._replace(**values)


def transitions(count, layout=STATE, first=0, **values):
    return [transition(layout, number, **values) for number in range(first, first + count)]


def pack(transitions):
    """Transitions in arrays, in order."""
    rows = [
        np.concatenate(
            [
                *(one.obs.state, one.obs.privileged, one.action, [one.reward]),
                *(
                    one.next_obs.state,
                    one.next_obs.privileged,
                    [one.discount, one.penalty, one.is_intervention, one.number],
                ),
            ],
            dtype=np.float32,
        )
        for one in transitions
    ]
    images = None
    if transitions and transitions[0].obs.images is not None:
        images = np.array([(one.obs.images, one.next_obs.images) for one in transitions])
    return Transitions(np.stack(rows), images)


def rollout(count, *, layout=STATE, demonstration=False, **values):
    """A rollout without episodes; the reward of each transition is its number unless given."""
    return Rollout(pack(transitions(count, layout, **values)), [], count, 0, demonstration=demonstration)


def batch(transitions):
    """All of them, in order, as a buffer would return them."""
    packed = pack(transitions)
    sizes = len(transitions[0].obs.state), len(transitions[0].obs.privileged)
    layout = ObservationLayout((("state", sizes[0]),), (("privileged", sizes[1]),))
    images = None if packed.images is None else torch.from_numpy(packed.images)
    return RowFormat(layout, ACTIONS).batch(torch.from_numpy(packed.rows), images)
