"""Time steps, images, seeds, saving and restoring: what every environment shares."""

import pickle
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.envs import GymRenderingSpec, PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from gym_hil.errors import ConfigurationError, DeviceError, InvalidStateError, ResetNeededError

TASKS = [PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv]

# Prints a fingerprint of 20 random steps with images.
TRAJECTORY = """
import hashlib, numpy as np
from gym_hil.envs import PandaPickCubeGymEnv
env = PandaPickCubeGymEnv(image_obs=True, random_block_position=True)
digest = hashlib.sha256()
rng = np.random.default_rng(3)
observation, _ = env.reset(seed=7)
for _ in range(20):
    for part in (observation["agent_pos"], *observation["pixels"].values()):
        digest.update(part.tobytes())
    observation = env.step(rng.uniform(-0.05, 0.05, 7))[0]
print(digest.hexdigest())
"""


def run(env, steps, seed=1):
    rng = np.random.default_rng(seed)
    return np.array([env.step(rng.uniform(-0.05, 0.05, 7))[0]["agent_pos"] for _ in range(steps)])


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_gives_the_same_episode_bit_for_bit(task):
    env = task()
    runs = []
    for _ in range(2):
        start = env.reset(seed=7)[0]["environment_state"]
        runs.append(np.concatenate([start, run(env, 30).ravel()]))
    assert np.array_equal(*runs)


def test_same_seed_gives_the_same_pixels_in_another_process(capsys):
    exec(TRAJECTORY, {})
    command = [sys.executable, "-W", "error", "-c", TRAJECTORY]
    there = subprocess.run(command, check=True, capture_output=True, text=True)
    assert there.stdout == capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_constructor_seed_starts_a_bare_reset(task):
    starts = [task(seed=5).reset()[0]["environment_state"] for _ in range(2)]
    assert np.array_equal(*starts)
    env = task()
    assert np.array_equal(env.reset(seed=5)[0]["environment_state"], starts[0])


def test_other_seeds_and_bare_resets_give_other_starts():
    env = PandaPickCubeGymEnv(random_block_position=True, seed=0)
    starts = [tuple(env.reset(seed=seed)[0]["environment_state"]) for seed in (None, None, *range(1, 10))]
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("force_torque_obs", [False, True])
def test_restored_state_goes_on_bit_for_bit(task, force_torque_obs):
    env = task(force_torque_obs=force_torque_obs)
    env.reset(seed=3)
    run(env, 20)
    state = pickle.loads(pickle.dumps(env.get_state()))
    onwards = run(env, 20, seed=2)
    start = env.reset()[0]["environment_state"]
    other = task(force_torque_obs=force_torque_obs)
    for restored in (env, other):
        observation = restored.set_state(state)
        assert restored.observation_space.contains(observation)
        assert np.array_equal(run(restored, 20, seed=2), onwards)
        assert np.array_equal(restored.reset()[0]["environment_state"], start)


def test_state_of_another_task_is_refused():
    boxes = PandaArrangeBoxesGymEnv()
    boxes.reset()
    env = PandaPickCubeGymEnv()
    with pytest.raises(InvalidStateError, match="as its own get_state"):
        env.set_state(boxes.get_state())


@pytest.mark.parametrize("own", [{}, {"random_block_position": True}])
def test_pickle_makes_the_same_environment_again(own):
    env = PandaPickCubeGymEnv(seed=4, reward_type="dense", control_dt=0.05, **own)
    copy = pickle.loads(pickle.dumps(env))
    assert (copy.reward_type, copy.control_dt, copy.metadata["render_fps"]) == ("dense", 0.05, 20)
    assert np.array_equal(copy.reset()[0]["environment_state"], env.reset()[0]["environment_state"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"control_dt": 0.1, "physics_dt": 0.003},
        {"control_dt": 0.001, "physics_dt": 0.002},
        {"control_dt": -0.1},
        {"physics_dt": 0.0},
        {"control_dt": float("nan")},
        {"render_mode": "depth"},
        {"renderer": "vulkan"},
        {"reward_type": "shaped"},
        {"render_spec": GymRenderingSpec(height=-1)},
        {"render_spec": GymRenderingSpec(width=0)},
        {"render_spec": GymRenderingSpec(height=12.5)},
        {"render_spec": GymRenderingSpec(camera_id="rear")},
        {"render_spec": GymRenderingSpec(camera_id=17)},
    ],
)
def test_value_that_cannot_work_is_named_in_the_error(arguments):
    with pytest.raises(ConfigurationError, match="|".join(["control_dt", *arguments])):
        PandaPickCubeGymEnv(**arguments)


@pytest.mark.parametrize(
    ("control_dt", "physics_dt", "expected"),
    [(0.1, 0.002, 50), (0.02, 0.002, 10), (0.05, 0.0025, 20), (0.1, None, 25), (0.05, None, 13), (1 / 30, None, 9)],
)
def test_substeps_fill_the_control_step(control_dt, physics_dt, expected):
    env = PandaPickCubeGymEnv(control_dt=control_dt, physics_dt=physics_dt)
    env.reset()
    env.step(np.zeros(7))
    assert env.n_substeps == expected
    assert env.physics_dt == env.model.opt.timestep == pytest.approx(control_dt / expected)
    assert env.data.time == pytest.approx(control_dt)


@pytest.mark.parametrize("method", ["render", "get_state"])
def test_use_before_reset_says_so(method):
    with pytest.raises(ResetNeededError, match=rf"{method}.* before reset"):
        getattr(PandaPickCubeGymEnv(render_mode="rgb_array"), method)()
    with pytest.raises(ResetNeededError, match=r"step.* before reset"):
        PandaPickCubeGymEnv().step(np.zeros(7))


def test_reset_after_close_starts_afresh():
    env = PandaPickCubeGymEnv(image_obs=True, render_mode="rgb_array")
    first = env.reset(seed=0)[0]["pixels"]["front"]
    env.close()
    with pytest.raises(ResetNeededError):
        env.step(np.zeros(7))
    assert np.array_equal(env.reset(seed=0)[0]["pixels"]["front"], first)
    env.close()
    env.close()


@pytest.mark.parametrize(("camera", "name"), [(-1, "front"), ("front", "front"), (0, "front"), ("wrist", "wrist")])
def test_render_draws_one_frame_of_a_camera(camera, name):
    spec = GymRenderingSpec(height=40, width=60, camera_id=camera)
    env = PandaPickCubeGymEnv(render_mode="rgb_array", render_spec=spec, image_obs=True)
    pixels = env.reset()[0]["pixels"]
    assert env.render().shape == (40, 60, 3)
    assert np.array_equal(env.render(), pixels[name])
    env.render_mode = None
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_rendering_does_not_change_the_physics():
    plain, drawn = PandaPickCubeGymEnv(), PandaPickCubeGymEnv(image_obs=True, render_mode="rgb_array")
    for env in (plain, drawn):
        env.reset(seed=0)
    assert np.array_equal(run(plain, 20), run(drawn, 20))


@pytest.mark.usefixtures("no_console")
def test_human_mode_without_a_display_warns_once_and_goes_on(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    env = PandaPickCubeGymEnv(render_mode="human")
    with pytest.warns(UserWarning, match=r"no display.*gym-hil doctor"):
        env.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(np.zeros(7))
        env.reset()
    env.close()


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")


@pytest.mark.usefixtures("no_display")
def test_console_shows_every_step_of_a_task_without_wrappers(console):
    env = PandaPickCubeGymEnv(render_mode="human")
    env.reset(seed=0)
    [channel] = console.channels
    before = channel.sequence
    env.step(np.zeros(7))
    assert channel.sequence == before + 1
    env.render()
    assert channel.sequence == before + 2
    env.close()
    assert console.channels == []


@pytest.mark.usefixtures("no_display")
def test_wrapper_that_knows_more_shows_it_instead(console):
    env = gym.make("gym_hil/PandaPickCube-v0", render_mode="human")
    env.reset(seed=0)
    [channel] = console.channels
    before = channel.sequence
    env.step(np.zeros(4, np.float32))
    assert channel.sequence == before + 1
    assert channel._snapshot.status["driver"] == "policy"
    env.close()


@pytest.mark.usefixtures("no_display")
def test_console_that_does_not_start_is_a_warning(console, monkeypatch):
    def fail():
        raise DeviceError("No port is free.")

    monkeypatch.setattr("gym_hil.console.get_console", fail)
    env = PandaPickCubeGymEnv(render_mode="human")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset()
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert "does not start: No port is free." in said[0]
    assert "There is no display." in said[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(np.zeros(7))
    env.close()
