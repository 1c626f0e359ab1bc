"""One file is all that a policy needs to act."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import hil_trainer
from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy import FlowPolicyShape, Policy, PolicyShape, ResidualPolicyShape
from hil_trainer.agents.policy_file import load_policy, read_description, save_policy
from hil_trainer.data.actions import ActionScale
from hil_trainer.errors import CheckpointError
from tests.hil_trainer.made_up import ACTIONS, ASYMMETRIC, HIDDEN, OBJECTS, PIXELS, STATE, act, obs

LOW, HIGH = [-1.0, -1.0, -1.0, 0.0], [1.0, 1.0, 1.0, 2.0]
LAYOUTS = {"state": STATE, "hidden": HIDDEN, "pixels": PIXELS, "both": ASYMMETRIC}

# Blocks what a robot's computer need not have, then acts.
ELSEWHERE = """
import sys
for name in ("mujoco", "numba", "imageio", "pyarrow", "av", "tyro", "rich", "matplotlib", "sklearn"):
    sys.modules[name] = None
import numpy as np
import hil_trainer
assert "torch" not in sys.modules
policy = hil_trainer.load_policy(sys.argv[1])
given = np.load(sys.argv[2])
observation = {name: given[name] for name in given.files if not name.startswith("pixels.")}
observation["pixels"] = {name[7:]: given[name] for name in given.files if name.startswith("pixels.")}
np.save(sys.argv[3], policy.act(observation))
"""


def policy(layout, **shape):
    torch.manual_seed(1)
    return Policy(PolicyShape(layout, ACTIONS, width=16, **shape))


def save(path, one, **provenance):
    save_policy(path, one, action_scale=ActionScale(LOW, HIGH), provenance={"task": "PandaPickCube-v1", **provenance})
    return path


def observation(layout):
    """As an environment returns it."""
    one = obs(layout, 2)
    parts, start = {}, 0
    for name, size in layout.state:
        parts[name] = one.state[start : start + size]
        start += size
    return {**parts, "pixels": {} if one.images is None else dict(zip(layout.cameras, one.images, strict=True))}


@pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_policy_that_is_read_back_acts_the_same(tmp_path, layout, discrete):
    before = policy(layout, discrete_gripper=discrete)
    after = load_policy(save(tmp_path / "policy.safetensors", before))
    action = act(before, obs(layout, 2), greedy=True)
    expected = action * [1, 1, 1, 1] + [0, 0, 0, 1]  # from [-1, 1] to the space of the environment
    np.testing.assert_allclose(after.act(observation(layout)), expected, atol=1e-6)
    assert after.act(observation(layout)).dtype == np.float32
    assert after.policy.shape.layout.privileged == ()
    assert (after.act(observation(layout), greedy=False) != after.act(observation(layout), greedy=False)).any()


def test_a_policy_that_attends_is_read_back_too(tmp_path):
    before = policy(OBJECTS, attention_heads=2)
    after = load_policy(save(tmp_path / "policy.safetensors", before))
    expected = act(before, obs(OBJECTS, 2), greedy=True) + np.array([0, 0, 0, 1], np.float32)
    np.testing.assert_allclose(after.act(observation(OBJECTS)), expected, atol=1e-6)


def test_the_file_alone_acts_where_there_is_no_simulation(tmp_path):
    before = policy(ASYMMETRIC)
    made = save(tmp_path / "made" / "policy.safetensors", before)
    elsewhere = tmp_path / "elsewhere.safetensors"
    shutil.move(made, elsewhere)
    shutil.rmtree(made.parent)
    given = observation(ASYMMETRIC)
    images = {f"pixels.{camera}": image for camera, image in given.pop("pixels").items()}
    np.savez(tmp_path / "given.npz", **given, **images)
    command = [sys.executable, "-c", ELSEWHERE, str(elsewhere), str(tmp_path / "given.npz"), str(tmp_path / "done.npy")]
    subprocess.run(command, check=True)
    expected = act(before, obs(ASYMMETRIC, 2), greedy=True) + np.array([0, 0, 0, 1], np.float32)
    np.testing.assert_allclose(np.load(tmp_path / "done.npy"), expected, atol=1e-5)


def test_the_description_is_readable_beside_the_file(tmp_path):
    path = save(tmp_path / "policy.safetensors", policy(PIXELS), step=1500)
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside == load_policy(path).description
    assert beside["observation"]["cameras"] == ["front", "wrist"]
    assert beside["action"] == {"low": LOW, "high": HIGH, "gripper": None}
    assert beside["provenance"]["step"] == 1500
    assert "torch" in beside["provenance"]["versions"]
    assert sorted(path.parent.iterdir()) == [path.with_suffix(".json"), path]


def test_a_policy_is_replaced_by_a_newer_one_and_found_in_its_run(tmp_path):
    save(tmp_path / "policy.safetensors", policy(STATE), step=1)
    save(tmp_path / "policy.safetensors", policy(STATE), step=2)
    assert hil_trainer.load_policy(tmp_path).description["provenance"]["step"] == 2
    assert read_description(tmp_path)["provenance"]["step"] == 2


def test_an_observation_that_lacks_something_is_refused(tmp_path):
    loaded = load_policy(save(tmp_path / "policy.safetensors", policy(PIXELS)))
    with pytest.raises(ConfigurationError, match="no image of front, wrist"):
        loaded.act({"agent_pos": np.zeros(18)})
    with pytest.raises(ConfigurationError, match="agent_pos is missing"):
        loaded.act({"pixels": observation(PIXELS)["pixels"]})


def test_what_is_no_policy_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="There is no policy at"):
        load_policy(tmp_path)
    path = tmp_path / "policy.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_policy(path)
    save_file({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no policy of hil_trainer"):
        load_policy(path)
    save_file({"weights": torch.zeros(3)}, path, metadata={"policy": json.dumps({"format": 99})})
    with pytest.raises(CheckpointError, match="has format 99, not 2; update gym-hil"):
        load_policy(path)
    save_file({"weights": torch.zeros(3)}, path, metadata={"policy": "{"})
    with pytest.raises(CheckpointError, match="damaged"):
        load_policy(path)
    save(path, policy(STATE))
    text = path.with_suffix(".json").read_text()
    save_file({"weights": torch.zeros(3)}, path, metadata={"policy": text})
    with pytest.raises(CheckpointError, match="damaged"):
        load_policy(path)


def test_a_program_from_an_older_version_is_refused(tmp_path):
    path = save(tmp_path / "policy.safetensors", policy(STATE))
    text = path.with_suffix(".json").read_text()
    save_file({"encoder.program": torch.zeros(3)}, path, metadata={"policy": text})
    with pytest.raises(CheckpointError, match=r"program of torch.export.*--encoder module:function"):
        load_policy(path)


def test_an_older_policy_of_acfql_is_refused(tmp_path):
    shape = ResidualPolicyShape(STATE, ACTIONS, width=16)
    path = save(tmp_path / "policy.safetensors", shape.make_policy())
    assert load_policy(path).description["algorithm"] == "acfql"
    text = path.with_suffix(".json").read_text()
    save_file({"velocity.head.weight": torch.zeros(3)}, path, metadata={"policy": text})
    with pytest.raises(CheckpointError, match=r"policy of one step.*Train it again"):
        load_policy(path)


def test_a_flow_policy_keeps_its_plan_s_length_and_needs_no_settings(tmp_path):
    shape = FlowPolicyShape(OBJECTS, ACTIONS, width=16, attention_heads=2, chunk_size=5, n_action_steps=3)
    made = shape.make_policy()
    loaded = load_policy(save(tmp_path / "policy.safetensors", made))
    assert (loaded.policy.shape, loaded.description["algorithm"]) == (made.shape, "bc")
    (plan,) = made.plans([obs(OBJECTS, 2)], greedy=True)
    assert len(plan) == 3
    loaded.act(observation(OBJECTS))
    loaded.reset()
    for action in (*plan, plan[0]):
        np.testing.assert_allclose(loaded.act(observation(OBJECTS)), action + np.array([0, 0, 0, 1]), atol=1e-6)


def test_an_evaluated_policy_knows_when_to_ask_for_help(tmp_path):
    outcomes, lengths = [True] * 20 + [False] * 5, [*range(20, 40), *[150] * 5]
    one = policy(STATE)
    evaluated = save(tmp_path / "a.safetensors", one, evaluation={"outcomes": outcomes, "lengths": lengths})
    assert load_policy(evaluated).help_after == 39
    assert load_policy(save(tmp_path / "b.safetensors", one, evaluation=None)).help_after is None
