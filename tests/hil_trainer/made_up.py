"""Observations and transitions that no environment gave."""

import numpy as np
import torch

from hil_trainer.data.observations import Observation, ObservationLayout
from hil_trainer.data.replay_buffer import Batch, Transition

STATE = ObservationLayout((("agent_pos", 18), ("environment_state", 3)))
THINGS = ObservationLayout((("agent_pos", 18), ("environment_state", 9)))
HIDDEN = ObservationLayout((("agent_pos", 18),), (("environment_state", 3), ("gripper_closed", 1)))
PIXELS = ObservationLayout((("agent_pos", 18),), cameras=("front", "wrist"), image_size=16)
ASYMMETRIC = ObservationLayout(HIDDEN.numbers, HIDDEN.privileged, PIXELS.cameras, PIXELS.image_size)
ACTIONS = 4


def obs(layout=STATE, number=0):
    """An observation whose first number tells which one it is; the others are drawn from that."""
    rng = np.random.default_rng(number)
    numbers = rng.uniform(-1, 1, layout.numbers_size).astype(np.float32)
    numbers[0] = number
    shape = layout.image_shape
    return Observation(
        numbers,
        rng.uniform(-1, 1, layout.privileged_size).astype(np.float32),
        None if shape is None else rng.integers(0, 256, shape, np.uint8),
    )


def transition(layout=STATE, number=0, **values):
    """A transition whose reward, too, tells which one it is."""
    action = np.random.default_rng(number).uniform(-1, 1, ACTIONS).astype(np.float32)
    made = Transition(obs(layout, number), action, float(number), 0.9, 0.0, obs(layout, number + 1), False)
    return made._replace(**values)


def transitions(count, layout=STATE, first=0, **values):
    return [transition(layout, number, **values) for number in range(first, first + count)]


def batch(transitions):
    """All of them, in order, as a buffer would give them."""

    def column(values):
        return torch.from_numpy(np.stack(values).astype(np.float32))

    def images(observations):
        return (
            None if observations[0].images is None else torch.from_numpy(np.stack([one.images for one in observations]))
        )

    obs, following = [one.obs for one in transitions], [one.following for one in transitions]
    return Batch(
        numbers=column([one.numbers for one in obs]),
        privileged=column([one.privileged for one in obs]),
        images=images(obs),
        action=column([one.action for one in transitions]),
        reward=column([one.reward for one in transitions]),
        discount=column([one.discount for one in transitions]),
        penalty=column([one.penalty for one in transitions]),
        next_numbers=column([one.numbers for one in following]),
        next_privileged=column([one.privileged for one in following]),
        next_images=images(following),
        is_intervention=column([one.is_intervention for one in transitions]),
    )
