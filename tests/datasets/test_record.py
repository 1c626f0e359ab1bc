import json

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.record import RecordEpisodes, describe_env, plain
from gym_hil.envs import GymRenderingSpec
from gym_hil.errors import ConfigurationError, DatasetError, ResetNeededError
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice
from tests.datasets import foreign, reading

STILL = np.array([0, 0, 0, 1], dtype=np.float32)


def drive(x=0.0, *events, engaged=True):
    motion = np.zeros(6)
    motion[0] = x
    return TeleopCommand(motion, 0, engaged, events)


@pytest.fixture
def make(tmp_path):
    """Makes environments that are recorded into one folder; commands are what the operator does in each episode."""
    made = []

    def make_one(*commands, env_id="PandaPickCube-v0", env_kwargs=None, **options):
        device = SequenceDevice(commands) if commands else None
        env = gym.make(f"gym_hil/{env_id}", **({"device": device} if device else {}), **(env_kwargs or {}))
        made.append(RecordEpisodes(env, tmp_path / "data", "me/test", **{"overwrite": True, "seed": 0, **options}))
        return made[-1]

    yield make_one
    for env in made:
        env.close()


def episode(env, action=STILL, **reset):
    """Run an episode; what `reset` and `step` returned."""
    observation, info = env.reset(**reset)
    steps = [(observation, None, False, False, info)]
    while not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(action))
    return steps


def saved(env, number=0):
    row = reading.rows(env.writer.root)[number]
    return row, reading.frames(env.writer.root, row)


def test_a_row_is_what_was_seen_what_was_done_and_what_came_of_it(make):
    env = make(drive(0.5), drive(engaged=False), drive(-1.0), drive(0.0, Event.SUCCESS))
    steps = episode(env, [0.0, 0.25, 0.0, 1.0])
    row, columns = saved(env)
    seen = [observation["agent_pos"] for observation, *_ in steps]
    np.testing.assert_array_equal(columns["observation.state"], seen[:-1])
    objects = [observation["environment_state"] for observation, *_ in steps]
    np.testing.assert_array_equal(columns["observation.environment_state"], objects[:-1])
    done = [[0.5, 0, 0, 1], [0, 0.25, 0, 1], [-1, 0, 0, 1], [0, 0, 0, 1]]
    np.testing.assert_array_equal(columns["action"], done)
    assert columns["complementary_info.is_intervention"].tolist() == [True, False, True, True]
    assert columns["next.reward"].tolist() == [0, 0, 0, 1]
    assert columns["next.done"].tolist() == columns["next.success"].tolist() == [False, False, False, True]
    assert not columns["next.truncated"].any()
    assert row["tasks"] == ["PandaPickCube"]


def test_an_episode_is_on_the_disk_when_its_end_is_told(make):
    env = make(drive(), drive(0.0, Event.SUCCESS))
    env.reset()
    env.step(STILL)
    assert reading.info(env.writer.root)["total_episodes"] == 0
    env.step(STILL)
    assert reading.info(env.writer.root)["total_episodes"] == len(reading.rows(env.writer.root)) == 1


def test_the_tasks_own_success_is_saved_with_reward_1(make):
    env = make(env_id="PandaPickCubeScripted-v1")
    episode(env)
    row, columns = saved(env)
    assert columns["next.reward"].tolist() == [0.0] * (row["length"] - 1) + [1.0]
    assert row["gym_hil/success"]
    assert env.successes == 1


def test_the_operators_failure_is_saved_with_reward_0(make):
    env = make(drive(), drive(0.0, Event.FAILURE))
    episode(env)
    row, columns = saved(env)
    assert columns["next.reward"].tolist() == [0, 0]
    assert columns["next.done"].tolist() == [False, True]
    assert not columns["next.truncated"].any()
    assert row["gym_hil/success"] is False
    assert env.successes == 0


def test_a_time_out_is_saved_with_reward_0_and_told_from_an_end(make):
    env = make(env_kwargs={"max_episode_steps": 3})
    episode(env)
    _, columns = saved(env)
    assert columns["next.reward"].tolist() == [0, 0, 0]
    assert columns["next.done"].tolist() == columns["next.truncated"].tolist() == [False, False, True]


def test_a_rerecorded_episode_is_never_saved_and_starts_again_as_it_was(make):
    env = make(drive(1.0), drive(0.0, Event.RERECORD), env_id="PandaPickCube-v1")
    first = episode(env)
    assert env.writer.num_episodes == 0
    assert first[-1][4]["rerecord_episode"]
    again = episode(env)
    np.testing.assert_array_equal(again[0][0]["environment_state"], first[0][0]["environment_state"])
    assert reading.rows(env.writer.root) == []
    assert not (env.writer.root / "data").exists()


def test_an_episode_after_a_saved_one_starts_elsewhere(make):
    env = make(drive(0.0, Event.FAILURE), env_id="PandaPickCube-v1")
    first, second = episode(env), episode(env)
    assert (first[0][0]["environment_state"] != second[0][0]["environment_state"]).any()
    seeds = [row["gym_hil/seed"] for row in reading.rows(env.writer.root)]
    assert len(set(seeds)) == 2


def test_quitting_throws_the_unfinished_episode_away(make):
    env = make(drive(), drive(0.0, Event.QUIT))
    steps = episode(env)
    assert steps[-1][4]["quit"]
    assert steps[-1][3]
    env.close()
    assert reading.info(env.writer.root)["total_episodes"] == 0


@pytest.mark.parametrize("end", ["reset", "close"])
def test_an_episode_that_is_broken_off_is_thrown_away(make, end):
    env = make()
    env.reset()
    env.step(STILL)
    getattr(env, end)()
    assert reading.rows(env.writer.root) == []


def test_frames_after_success_are_labelled_1_and_the_end_comes_after_them(make):
    env = make(drive(), drive(0.0, Event.SUCCESS), drive(0.5), drive(0.0, Event.FAILURE), steps_after_success=3)
    steps = episode(env)
    assert [step[1] for step in steps[1:]] == [0, 1, 1, 1, 1]
    assert [step[2] for step in steps[1:]] == [False] * 4 + [True]
    assert steps[-1][4]["next.success"]
    row, columns = saved(env)
    assert row["length"] == 5
    assert columns["next.reward"].tolist() == [0, 1, 1, 1, 1]
    assert columns["next.success"].tolist() == [False, True, True, True, True]
    assert columns["next.done"].tolist() == [False] * 4 + [True]
    np.testing.assert_array_equal(columns["action"][2], [0.5, 0, 0, 1])
    assert not columns["next.truncated"].any()


def test_frames_after_success_are_not_cut_by_the_time_limit(make):
    env = make(drive(), drive(0.0, Event.SUCCESS), steps_after_success=4, env_kwargs={"max_episode_steps": 3})
    steps = episode(env)
    assert len(steps) - 1 == 6
    assert steps[-1][2:4] == (True, False)


def test_frames_after_success_go_on_with_a_real_grasp(make):
    env = make(env_id="PandaPickCubeScripted-v1", steps_after_success=5)
    plain_env = gym.make("gym_hil/PandaPickCubeScripted-v1")
    plain_env.reset(seed=4)
    count = 0
    while not plain_env.step(STILL)[2]:
        count += 1
    plain_env.close()
    steps = episode(env, seed=4)
    assert len(steps) - 1 == count + 1 + 5
    assert all(step[4]["succeed"] for step in steps[-5:])


def test_rerecord_counts_after_success_too(make):
    env = make(drive(0.0, Event.SUCCESS), drive(0.0, Event.RERECORD), steps_after_success=5)
    steps = episode(env)
    assert steps[-1][2:4] == (False, True)
    assert reading.rows(env.writer.root) == []


def test_quitting_after_success_saves_the_episode(make):
    env = make(drive(0.0, Event.SUCCESS), drive(), drive(0.0, Event.QUIT), steps_after_success=5)
    episode(env)
    row, columns = saved(env)
    assert row["length"] == 3
    assert columns["next.done"].tolist() == [False, False, True]


def test_steps_after_the_end_are_not_recorded(make):
    env = make(drive(0.0, Event.FAILURE))
    episode(env)
    env.step(STILL)
    env.close()
    assert [row["length"] for row in reading.rows(env.writer.root)] == [1]


@pytest.mark.parametrize("env_id", ["PandaPickCube-v1", "PandaArrangeBoxes-v0"])
def test_the_recorded_seed_and_options_start_the_same_episode(make, env_id):
    env = make(drive(1.0), drive(0.0, Event.FAILURE), env_id=env_id)
    options = {"cube_xy": np.array([0.45, 0.05])} if "Cube" in env_id else None
    for number, kwargs in enumerate([{}, {"seed": 11}, {}, {"options": options}]):
        episode(env, **kwargs)
        row, columns = saved(env, number)
        if "seed" in kwargs:
            assert row["gym_hil/seed"] == 11
        again = gym.make(f"gym_hil/{env_id}")
        recorded = row["gym_hil/options"]
        observation, _ = again.reset(seed=row["gym_hil/seed"], options=json.loads(recorded) if recorded else None)
        np.testing.assert_array_equal(observation["agent_pos"], columns["observation.state"][0])
        np.testing.assert_array_equal(observation["environment_state"], columns["observation.environment_state"][0])
        again.close()


def test_the_same_seed_draws_the_same_episodes(make):
    seeds = []
    for _ in range(2):
        env = make(drive(0.0, Event.FAILURE), seed=5)
        episode(env)
        episode(env)
        env.close()
        seeds.append([row["gym_hil/seed"] for row in reading.rows(env.writer.root)])
    assert seeds[0] == seeds[1]


def test_going_on_with_the_same_seed_draws_other_episodes(make):
    for _ in range(2):
        env = make(drive(0.0, Event.FAILURE), seed=5, overwrite=False, resume=True)
        episode(env)
        env.close()
    first, second = [row["gym_hil/seed"] for row in reading.rows(env.writer.root)]
    assert first != second


def test_images_are_those_of_the_observation_before_the_step(make):
    spec = GymRenderingSpec(64, 64)
    env = make(drive(1.0), drive(1.0), drive(0.0, Event.FAILURE), env_kwargs={"image_obs": True, "render_spec": spec})
    steps = episode(env)
    row, _ = saved(env)
    for camera in ("front", "wrist"):
        given = [observation["pixels"][camera] for observation, *_ in steps[:-1]]
        decoded, _ = reading.images(env.writer.root, row, f"observation.images.{camera}")
        assert reading.psnr(decoded, given).min() > 32


def test_a_base_environments_action_is_recorded_as_it_was_executed(make):
    env = make(env_id="PandaPickCubeBase-v0", env_kwargs={"max_episode_steps": 2})
    episode(env, np.array([9, 0.05, -9, 0, 0, 0, 0]))
    _, columns = saved(env)
    np.testing.assert_allclose(columns["action"][0], [0.1, 0.05, -0.1, 0, 0, 0, 0])
    assert not columns["complementary_info.is_intervention"].any()


def test_what_was_recorded_with_is_written_down(make):
    spec = GymRenderingSpec(32, 48)
    env = make(
        env_id="PandaPickCubeScripted-v1",
        env_kwargs={"image_obs": True, "render_spec": spec, "device_options": {"motion_noise": 0.1}},
    )
    kept = reading.info(env.writer.root)["gym_hil"]
    assert kept["env_id"] == "gym_hil/PandaPickCubeScripted-v1"
    assert kept["task_id"] == "gym_hil/PandaPickCube-v1"
    assert kept["env_kwargs"] == {
        "image_obs": True,
        "render_spec": {"height": 32, "width": 48, "camera_id": -1, "mode": "rgb_array"},
    }
    assert (kept["renderer"], kept["control_dt"], kept["max_episode_steps"]) == ("raster", 0.1, 150)
    assert (kept["version"], kept["repo_id"]) == (gym_hil.__version__, "me/test")


def test_an_environment_without_a_spec_can_be_recorded():
    env = gym_hil.wrap_env(gym_hil.PandaPickCubeGymEnv(control_dt=0.05))
    assert describe_env(env)["env_id"] is None
    assert describe_env(env)["control_dt"] == 0.05
    env.close()


def test_what_json_does_not_know_becomes_its_description():
    assert plain({1: (np.float32(0.5), np.arange(2), {3})}) == {"1": [0.5, [0, 1], "{3}"]}


def test_going_on_with_a_dataset(make):
    for _ in range(2):
        env = make(drive(0.0, Event.FAILURE), overwrite=False, resume=True, task="push it")
        episode(env)
        env.close()
    assert [row["tasks"] for row in reading.rows(env.writer.root)] == [["push it"]] * 2


def test_a_full_disk_is_told_before_the_robot_moves(make, monkeypatch):
    env = make()
    monkeypatch.setattr("gym_hil.datasets.folder.ROOM", 1 << 62)
    with pytest.raises(DatasetError, match="MiB left"):
        env.reset()
    with pytest.raises(ResetNeededError):
        env.unwrapped.step(np.zeros(7))


def test_an_episode_that_cannot_be_saved_is_told_at_its_end(make):
    resource = pytest.importorskip("resource")
    env = make(drive(), drive(0.0, Event.FAILURE))
    episode(env)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    env.reset()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        env.step(STILL)
        with pytest.raises(DatasetError, match=r"intact \(1 episodes\)"):
            env.step(STILL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    episode(env)
    assert [row["episode_index"] for row in reading.rows(env.writer.root)] == [0, 1]


@pytest.mark.parametrize("count", [-1, 0.5])
def test_a_number_of_steps_that_cannot_be_is_refused(make, count):
    with pytest.raises(ConfigurationError, match="steps_after_success"):
        make(steps_after_success=count)


def test_an_environment_that_starts_episodes_by_itself_is_refused(make):
    with pytest.raises(ConfigurationError, match="auto_reset"):
        make(env_kwargs={"auto_reset": True})


def test_stepping_before_the_first_reset_is_an_error(make):
    env = make()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(STILL)


@pytest.fixture
def record_foreign(tmp_path):
    """Makes a recorded environment that is not ours; arguments of the environment, then of the recorder."""
    made = []

    def make_one(options=None, **kwargs):
        made.append(RecordEpisodes(gym.make(foreign.ID, **kwargs), tmp_path / "data", "me/test", **(options or {})))
        return made[-1]

    yield make_one
    for env in made:
        env.close()


def test_a_foreign_environment_is_recorded_as_it_was_before_each_step(record_foreign):
    env = record_foreign({"state_key": "desired_goal"})
    steps = [env.reset()[0]["achieved_goal"]]
    done = False
    while not done:
        observation, _, terminated, truncated, _ = env.step(np.array([0.1, 2.0]))
        done = terminated or truncated
        steps.append(observation["achieved_goal"])
    env.close()
    _, columns = saved(env)
    np.testing.assert_array_equal(columns["observation.observation"], np.float32(steps[:-1]))
    assert (columns["action"] == np.float32([0.1, 2.0])).all()
    kept = reading.info(env.writer.root)
    assert kept["robot_type"] is kept["features"]["action"]["names"] is None
    assert (kept["fps"], kept["gym_hil"]["state_key"]) == (20, "desired_goal")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (2, 64), (33, 47)])
def test_images_of_every_size_are_encoded_and_decoded(record_foreign, size):
    env = record_foreign(size=size)
    episode(env, np.zeros(2))
    env.close()
    images = EpisodeDataset(env.writer.root)[0]["observation.images.eye"]
    assert images.shape[1:] == (*size, 3)
    assert np.abs(images.mean(axis=(1, 2, 3)) - 20 * np.arange(5)).max() < 2


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("nan", DatasetError, r"observation\.state is nan at index 1 in frame 3.*keeps the 1 before"),
        ("raise", RuntimeError, "does not answer"),
    ],
)
def test_episodes_before_a_fault_of_the_environment_are_kept(record_foreign, fault, error, message):
    env = record_foreign()
    episode(env, np.zeros(2))
    env.unwrapped.fault = fault
    with pytest.raises(error, match=message):
        episode(env, np.zeros(2))
    env.unwrapped.fault = None
    episode(env, np.zeros(2))
    env.close()
    assert [len(one) for one in EpisodeDataset(env.writer.root)] == [5, 5]


def test_an_environment_that_does_not_say_its_rate_needs_one(record_foreign, monkeypatch):
    monkeypatch.setattr(foreign.Reach, "metadata", {"render_modes": ["rgb_array"]})
    with pytest.raises(ConfigurationError, match="Give fps="):
        record_foreign()
    env = record_foreign({"fps": 7})
    assert reading.info(env.writer.root)["fps"] == 7
