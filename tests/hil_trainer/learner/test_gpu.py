"""Everything that learns keeps its tensors on one device, and learns the same there as on the CPU."""

import dataclasses

import numpy as np
import pytest
import torch

from hil_trainer.learner.learner import MIN_ONLINE, Learner, LearnerSetup
from tests.hil_trainer.fake_gpu import DEVICE
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, OBJECTS, PIXELS, STATE, rollout

FOREIGN = dataclasses.replace(STATE, state=(("observation.state", 8),))
ENCODER = "tests.hil_trainer.agents.tiny_encoder:network"
ENCODED = dataclasses.replace(PIXELS, image_size=32)
DISCRETE = {"gripper": "discrete", "imitation": 1.0}


@pytest.mark.parametrize(
    ("layout", "settings"),
    [
        *((layout, {"algorithm": "sac", **DISCRETE}) for layout in (FOREIGN, PIXELS, ASYMMETRIC)),
        *((layout, {"algorithm": name}) for layout in (OBJECTS, ASYMMETRIC) for name in ("sac", "bc", "acfql")),
        (PIXELS, {"algorithm": "acfql", "gripper": "discrete"}),
        *((ENCODED, {"algorithm": name, "obs": "pixels", "encoder": ENCODER}) for name in ("bc", "acfql")),
    ],
)  # fmt: skip
def test_a_gpu_learns_what_the_cpu_learns(small, on_fake_gpu, layout, settings):
    setups = [LearnerSetup(small(**settings, device=device), layout, ACTIONS) for device in ("cpu", DEVICE)]
    (weights, metrics), (others, other_metrics) = (on_fake_gpu(learn, setup) for setup in setups)
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert metrics == pytest.approx(other_metrics, rel=1e-3)


def learn(setup):
    """Learn, save, restore and go on: the policy's weights and the last metrics."""
    learner = Learner(setup)
    learner.add(rollout(20, layout=setup.layout, demonstration=True, is_intervention=True))
    learner.add(rollout(MIN_ONLINE, layout=setup.layout, reward=0.5, first=20))
    learner.learn(2)
    assert learner.demo_buffer.rows.device.type == setup.config.device
    again = Learner(setup)
    segments = {name: [buffer.segment(0)] for name, buffer in learner.buffers.items()}
    again.load_state_dict(learner.state_dict(), segments)
    again.learn(1)
    return learner.weights(), again.metrics()


def test_tensors_of_two_devices_do_not_mix(on_fake_gpu):
    with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
        on_fake_gpu(mix)


def mix():
    return torch.zeros(3, device=DEVICE) + torch.zeros(3)
