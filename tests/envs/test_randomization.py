"""What `randomize=` varies: drawn by the seed, told, repeatable from a state or from what was told, and seen."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil import PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from gym_hil.console.scene_stream import pack_scene
from gym_hil.datasets import EpisodeDataset, RecordEpisodes
from gym_hil.datasets.replay import make_recorded_env, replay_episode
from gym_hil.envs import FrankaGymEnv, PandaInsertPegGymEnv
from gym_hil.envs.randomization import RANGES
from gym_hil.errors import ConfigurationError, InvalidStateError
from gym_hil.rendering import make_renderer

TASKS = [PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv, PandaInsertPegGymEnv]
ACTIONS = np.random.default_rng(0).uniform(-0.05, 0.05, (8, 7))
STAY = np.zeros(7)


def run(env: Any, actions: Any = ACTIONS) -> list[np.ndarray]:
    observations = [env.step(action)[0] for action in actions]
    return [np.concatenate([one["agent_pos"], one["environment_state"]]) for one in observations]


@pytest.mark.parametrize("task", TASKS)
def test_seed_repeats_the_draw_and_the_episode_bit_for_bit(task: type[FrankaGymEnv]) -> None:
    env = task(randomize="full")
    info = env.reset(seed=3)[1]
    assert list(info["randomization"]) == [*RANGES, "noise_seed"]
    once = run(env)
    assert env.reset()[1]["randomization"] != info["randomization"]
    run(env)
    assert env.reset(seed=3)[1] == info
    assert np.array_equal(run(env), once)


@pytest.mark.parametrize("task", TASKS)
def test_saved_state_goes_on_bit_for_bit_in_an_environment_without_randomisation(task: type[FrankaGymEnv]) -> None:
    env, plain = task(randomize="full"), task()
    env.reset(seed=3)
    run(env, ACTIONS[:3])
    state = pickle.loads(pickle.dumps(env.get_state()))
    onwards = run(env)
    assert np.array_equal(env.set_state(state)["agent_pos"], plain.set_state(state)["agent_pos"])
    assert np.array_equal(run(plain), onwards)
    start = plain.reset(seed=1)[0]
    assert np.array_equal(start["agent_pos"], task().reset(seed=1)[0]["agent_pos"])
    assert pickle.loads(pickle.dumps(env)).reset(seed=3)[1] == env.reset(seed=3)[1]


def test_without_ranges_nothing_is_drawn_and_told_and_with_empty_ones_nothing_changes() -> None:
    plain, still = PandaPickCubeGymEnv(), PandaPickCubeGymEnv(randomize={"object_colour": (0, 0)})
    assert plain.reset(seed=0)[1] == {"succeed": False}
    still.reset(seed=0)
    assert np.array_equal(run(plain), run(still))


def test_objects_have_their_size_mass_and_friction_and_rest_on_the_floor() -> None:
    env = PandaArrangeBoxesGymEnv(randomize={"object_size": (0.7, 1.4), "object_mass": (2, 2), "friction": (0.5, 0.5)})
    for seed in range(3):
        sizes = np.array(env.reset(seed=seed)[1]["randomization"]["object_size"])
        start = env.box_positions
        assert start[:, 2] == pytest.approx(0.02 * sizes)
        assert env.model.geom("box2_geom").size == pytest.approx(0.02 * sizes[1])
        box = env.model.body("box2")
        assert box.mass == pytest.approx(0.2)
        assert box.inertia == pytest.approx(0.2 * (2 * 0.02 * sizes[1]) ** 2 / 6)
        assert env.model.geom("box2_geom").friction[0] == pytest.approx(0.5)
        for _ in range(5):
            env.step(STAY)
        assert np.abs(env.box_positions - start).max() < 1e-3


def test_peg_and_socket_are_widened_by_one_factor() -> None:
    env = PandaInsertPegGymEnv(randomize={"object_size": (1.2, 1.2)})
    env.reset(seed=0, options={"socket_pose": (0.4, 0.1, 0.0)})
    assert env.model.geom("peg_geom").size == pytest.approx([0.012, 0.012, 0.03])
    env.data.joint("peg").qpos[:] = (0.4, 0.1, 0.04, 1, 0, 0, 0)
    env.set_state(env.get_state())
    for _ in range(10):
        env.step(STAY)
    assert env.is_success()


@pytest.mark.parametrize("kind", [list, np.array])
def test_what_reset_told_may_be_changed_and_given_back(kind: Any) -> None:
    env = PandaPickCubeGymEnv(randomize={"object_mass": (1, 1)})
    drawn = env.reset(seed=0)[1]["randomization"]
    nominal = env.model.body("cube").mass.item()
    for factor in (2.0, 3.0):
        drawn["object_mass"] = kind(drawn["object_mass"])
        drawn["object_mass"][0] = factor
        told = env.reset(seed=0, options={"randomization": drawn})[1]["randomization"]
        assert told == {"object_mass": [factor]}
        assert env.model.body("cube").mass.item() == pytest.approx(factor * nominal)
        drawn = told


def test_action_is_executed_after_the_delay() -> None:
    env = PandaPickCubeGymEnv(randomize={"action_delay": (2, 2)})
    env.reset(seed=0)
    start, heights = env.tcp_target[2], []
    for action in ([0, 0, 0.05, 0, 0, 0, 0], STAY, STAY, STAY):
        env.step(action)
        heights.append(round(env.tcp_target[2] - start, 6))
    assert heights == [0, 0, 0.05, 0.05]


def test_noise_is_of_the_observation_alone_and_has_the_deviation_that_is_told() -> None:
    env = PandaPickCubeGymEnv(randomize={"observation_noise": (0.01, 0.01)})
    env.reset(seed=0)
    errors = []
    for _ in range(100):
        observation = env.step(STAY)[0]
        errors += [*(observation["agent_pos"][15:] - env.tcp_position)]
        errors += [*(observation["environment_state"] - env.cube_position)]
        assert np.array_equal(env.observation()["agent_pos"], observation["agent_pos"])
    assert np.std(errors) == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize(
    "name",
    [*("object_colour", "robot_colour", "floor_colour", "light_brightness", "light_position", "object_size"),
     *("camera_position", "camera_rotation", "camera_fovy")],
)  # fmt: skip
def test_images_and_the_consoles_scene_show_it(name: str) -> None:
    env = PandaPickCubeGymEnv(image_obs=True, randomize={name: RANGES[name].full})
    before, scene = env.reset(seed=1)[0]["pixels"]["front"], pack_scene(env.model)
    after = env.reset(seed=2)[0]["pixels"]["front"]
    assert (before != after).any()
    assert np.array_equal(after, make_renderer("raster", env.model, 128, 128).render(env.data, ["front"])[0])
    assert scene.shows(env.model) == name.startswith("light")  # the page has lights of its own


def test_recorded_episode_is_replayed_bit_for_bit_with_what_it_drew(tmp_path: Any) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1", randomize="full", max_episode_steps=4)
    recorder = RecordEpisodes(env, tmp_path / "out", "me/x", seed=0)
    drawn = recorder.reset()[1]["randomization"]
    for _ in range(4):
        recorder.step(env.action_space.sample())
    recorder.close()
    (episode,) = EpisodeDataset(tmp_path / "out")
    assert episode.record.options == {"randomization": drawn}
    with make_recorded_env(episode) as again:
        assert replay_episode(again, episode).first_difference is None
    with make_recorded_env(episode, env_kwargs={"randomize": False}) as plain:
        assert replay_episode(plain, episode).compared


@pytest.mark.parametrize(
    ("randomize", "named"),
    [
        ("strong", "'strong'.*'light', 'full'"),
        (True, "True"),
        ({"gravity": (0, 1)}, "'gravity'.*object_mass"),
        ({"object_mass": (2, 1)}, "object_mass.*low first"),
        ({"object_mass": (0, 1)}, "object_mass.*within 0.1 and 10"),
        ({"object_mass": (1, float("nan"))}, "object_mass"),
        ({"object_mass": 1.0}, "object_mass.*two numbers"),
        ({"object_mass": "light"}, "object_mass"),
        ({"action_delay": (0, 1.5)}, "action_delay.*whole"),
    ],
)
def test_ranges_that_cannot_be_are_refused_when_it_is_made(randomize: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        PandaPickCubeGymEnv(randomize=randomize)


@pytest.mark.parametrize(
    "given",
    [{"gravity": 1}, {"object_mass": 1.0}, {"object_mass": [20.0]}, {"friction": float("nan")}, "light",
     {"friction": "much"}, {"action_delay": 1.5}],
)  # fmt: skip
def test_values_that_cannot_be_are_refused_and_nothing_moves(given: Any) -> None:
    env = PandaPickCubeGymEnv()
    env.reset(seed=0)
    env.step(ACTIONS[0])
    before = env.get_state().physics
    with pytest.raises(ConfigurationError, match="randomization"):
        env.reset(options={"randomization": given})
    assert np.array_equal(env.get_state().physics, before)
    boxes = PandaArrangeBoxesGymEnv(randomize={"object_mass": (1, 2)})
    boxes.reset(seed=0)
    with pytest.raises(InvalidStateError):
        env.set_state(boxes.get_state())


def test_page_has_every_name_with_its_ranges() -> None:
    page = (Path(__file__).parents[2] / "docs" / "randomization.md").read_text(encoding="utf-8")
    for name, entry in RANGES.items():
        ranges = " | ".join(f"{low:g} to {high:g}" for low, high in (entry.light, entry.full, entry.limits))
        assert f"| `{name}` | {entry.about} | {ranges} |" in page
