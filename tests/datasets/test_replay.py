import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.record import RecordEpisodes
from gym_hil.datasets.replay import ReplayVideo, make_recorded_env, replay_episode
from gym_hil.datasets.video import VideoReader
from gym_hil.errors import DatasetError
from tests.datasets import foreign


def recorded(env, root, episodes=2, **options):
    env = RecordEpisodes(env, root, "me/test", seed=0, **options)
    env.action_space.seed(0)
    for _ in range(episodes):
        env.reset()
        while not any(env.step(1.5 * env.action_space.sample())[2:4]):
            pass
    env.close()
    return EpisodeDataset(root)


@pytest.mark.parametrize("env_id", ["Pendulum-v1", foreign.ID])
def test_episodes_of_a_foreign_environment_repeat_bit_for_bit(tmp_path, env_id):
    dataset = recorded(gym.make(env_id, max_episode_steps=6), tmp_path / "data")
    assert dataset.metadata["env_id"] == env_id
    for episode in dataset:
        with make_recorded_env(episode) as env:
            result = replay_episode(env, episode)
        vectors = {key for key in dataset.features if key.startswith("observation.") and "images" not in key}
        assert (result.first_difference, set(result.compared), result.repeats) == (None, vectors, True)
        assert result.deviation is None


def test_another_start_is_noticed(tmp_path):
    (episode,) = recorded(gym.make(foreign.ID), tmp_path / "data", episodes=1)
    episode.record = dataclasses.replace(episode.record, seed=99)
    assert replay_episode(gym.make(foreign.ID), episode).first_difference == 0


def test_the_id_is_registered_by_importing_the_recorded_module(tmp_path):
    (episode,) = recorded(gym.make(foreign.ID), tmp_path / "data", episodes=1)
    spec = gym.registry.pop(foreign.ID)
    try:
        with pytest.raises(DatasetError, match="Import the package that registers it"):
            make_recorded_env(episode)
    finally:
        gym.registry[foreign.ID] = spec


def test_code_in_the_dataset_itself_is_not_imported(tmp_path, monkeypatch):
    (episode,) = recorded(gym.make(foreign.ID), tmp_path / "data", episodes=1)
    (tmp_path / "data/planted.py").write_text("raise SystemExit")
    metadata = {**episode.record.metadata, "env_id": "Planted-v0"}
    for module, folder in (("planted", tmp_path / "data"), ("data.planted", tmp_path)):
        monkeypatch.syspath_prepend(folder)
        episode.record = dataclasses.replace(episode.record, metadata={**metadata, "env_module": module})
        with pytest.raises(DatasetError, match="is not imported"):
            make_recorded_env(episode)


def test_the_video_shows_what_a_foreign_environment_renders(tmp_path):
    dataset = recorded(gym.make(foreign.ID, steps=3), tmp_path / "data", episodes=1)
    with ReplayVideo(tmp_path / "replay.mp4", dataset) as video, make_recorded_env(dataset[0], size=64) as env:
        video.replay(env, dataset[0])
    image = VideoReader(tmp_path / "replay.mp4", dataset.fps).image(2 / dataset.fps)
    assert np.abs(image[[150, 450], 100].astype(int) - 40).max() < 8  # recorded above, replayed below
