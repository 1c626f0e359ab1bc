"""Recorded episodes are as good as those that are shown."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gym_hil.cli import main
from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import DatasetError
from hil_trainer.config import NO_OPERATOR
from hil_trainer.data.actions import ActionScale
from hil_trainer.data.demonstrations import read_demonstrations
from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.transitions import RowFormat
from hil_trainer.errors import DemonstrationsError
from hil_trainer.rollout.env import RolloutEnv


def record(folder, *words):
    words = ["--task", "PandaPickCube-v1", "--device", "scripted", "--seed", "0", "--root", str(folder), *words]
    assert main(["record", "--repo-id", "me/demo", *words]) == 0
    return folder


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Two episodes without images."""
    return record(tmp_path_factory.mktemp("state") / "data", "--episodes", "2", "--no-images")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """One episode with images."""
    return record(tmp_path_factory.mktemp("images") / "data", "--episodes", "1")


@pytest.fixture
def env(small):
    made = []

    def make(**settings):
        made.append(RolloutEnv(small(demos="0", **settings), operator=NO_OPERATOR))
        return made[-1]

    yield make
    for one in made:
        one.close()


def opened(path, env, layout=None, n_step=1):
    ends = {"action_scale": env.action_scale}
    return read_demonstrations(path, layout or env.layout, **ends, discount=0.9, n_step=n_step)


def read(*args, **options):
    return list(opened(*args, **options))


def batch(rollout, env):
    """The transitions of a rollout by name."""
    return RowFormat(env.layout, env.actions).batch(rollout.transitions.rows, rollout.transitions.images)


@pytest.mark.parametrize("n_step", [1, 4])
def test_episodes_are_transitions_that_end_with_success(state, env, n_step):
    one = env()
    rollouts = read(state, one, n_step=n_step)
    assert [len(rollout.transitions) for rollout in rollouts] == [len(episode) for episode in EpisodeDataset(state)]
    for rollout in rollouts:
        (episode,) = rollout.episodes
        assert rollout.demonstration
        assert episode.demonstration
        assert (episode.success, episode.total, episode.length) == (True, 1.0, rollout.steps)
        assert rollout.operator_steps == episode.operator_steps > 0
        found = batch(rollout, one)
        assert (found.discount[-n_step:] == 0).all()
        assert (found.discount[:-n_step] > 0).all()
        assert found.reward[-1] == 1.0
        assert np.abs(found.action).max() <= 1


def test_replaying_the_actions_leads_where_they_led(state, env):
    one = env()
    found = batch(read(state, one)[0], one)
    obs = one.reset(next(iter(EpisodeDataset(state))).record.seed)
    np.testing.assert_allclose(found.observation.state[0], obs.state, atol=1e-5)
    for action, after in zip(found.action[:-1], found.next_observation.state[:-1], strict=True):
        np.testing.assert_allclose(after, one.step(action).obs.state, atol=1e-3)


def test_what_was_recorded_after_a_success_is_left_out(env, tmp_path):
    record(tmp_path / "data", "--episodes", "1", "--no-images", "--steps-after-success", "5")
    one = env()
    (rollout,) = read(tmp_path / "data", one)
    (episode,) = EpisodeDataset(tmp_path / "data")
    assert len(rollout.transitions) == rollout.steps == len(episode) - 5
    assert rollout.episodes[0].total == 1.0
    assert batch(rollout, one).discount[-1] == 0.0


def test_images_are_made_as_small_as_the_policy_sees_them(images, env):
    one = env(obs="pixels", privileged=False, image_size=16)
    (rollout,) = read(images, one)
    first = batch(rollout, one).observation
    assert first.images[0].shape == (2, 16, 16, 3)
    assert first.images[0].std() > 10
    assert first.privileged.size == 0
    assert len(rollout.transitions) == rollout.steps


@pytest.mark.parametrize("feature", ["observation.state", "action", "next.reward"])
def test_a_value_that_is_not_finite_is_refused_with_its_place(state, env, tmp_path, feature):
    shutil.copytree(state, tmp_path / "data")
    path = sorted((tmp_path / "data" / "data").rglob("*.parquet"))[-1]
    table = pq.read_table(path)
    column, row = table[feature].to_pylist(), table["episode_index"].to_pylist().index(1) + 5
    column[row] = [np.nan] * len(column[row]) if isinstance(column[row], list) else np.nan
    index = table.column_names.index(feature)
    pq.write_table(table.set_column(index, table.schema.field(index), pa.array(column, table[feature].type)), path)
    with pytest.raises(DatasetError, match=rf"{feature} in frame 5 of episode 1 is .*nan"):
        opened(tmp_path / "data", env())  # before the first episode is asked for


def test_critics_that_see_the_simulation_are_refused_with_a_way_out(images, env):
    with pytest.raises(DemonstrationsError, match=r"environment_state and gripper_closed.*--no-privileged"):
        read(images, env(obs="pixels", image_size=16))


def test_what_a_dataset_lacks_is_named(state, env):
    one = env()
    cameras = ObservationLayout(one.layout.state, cameras=("front",), image_size=16)
    with pytest.raises(DemonstrationsError, match=r"has no observation.images.front; it has .*observation.state"):
        read(state, one, cameras)
    with pytest.raises(DemonstrationsError, match="do not hold colour"):
        read(state, one, ObservationLayout((*one.layout.state, ("colour", 1))))
    more = ObservationLayout((("agent_pos", 18), ("environment_state", 12)))
    with pytest.raises(DemonstrationsError, match=r"has the shape \[3\]; expected \[12\]"):
        read(state, one, more)


def test_actions_of_another_task_are_refused(state, env):
    one = env()
    one.action_scale = ActionScale(np.zeros(7), np.zeros(7))
    with pytest.raises(DemonstrationsError, match=r"action of .* has the shape \[4\]; expected \[7\]"):
        read(state, one)


def test_demonstrations_that_turn_and_feel_are_read_as_they_were_recorded(tmp_path, env):
    words = ["--episodes", "1", "--no-images", "--orientation", "--force-torque"]
    folder = record(tmp_path / "data", *words)
    one = env(orientation=True, force_torque=True)
    (rollout,) = read(folder, one)
    (episode,) = EpisodeDataset(folder)
    found, columns = batch(rollout, one), episode.numbers()
    assert found.action.shape[1] == 7
    forces = columns["observation.force_torque"]
    np.testing.assert_allclose(found.observation.state[:, -13:-7], forces, atol=1e-5)
    np.testing.assert_allclose(found.observation.state[:, -7:], columns["observation.state"][:, :7], atol=1e-6)
    assert np.ptp(forces[:, 2]) > 0.5  # the cube is heavier than nothing


def test_demonstrations_without_force_and_torque_are_refused_by_name(state, env):
    with pytest.raises(DemonstrationsError, match=r"recorded without force and torque.*--force-torque"):
        read(state, env(force_torque=True))
