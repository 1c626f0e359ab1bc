"""What an installed package must do, run from an empty folder: python smoke_test.py"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np

import gym_hil
from gym_hil.wrappers.intervention_utils import bundled_config_path, load_controller_config
from hil_trainer.pretrained import pretrained_policies


def main() -> None:
    package = Path(gym_hil.__file__).parent
    assert Path(sys.prefix) in package.parents, f"{package} is not the installed package"
    assert (package / "py.typed").is_file()
    top_level = {Path(file).parts[0] for file in importlib.metadata.files("gym-hil")}
    assert {name for name in top_level if not name.startswith((".", "gym_hil-"))} == {"gym_hil", "hil_trainer"}, (
        top_level
    )

    assert bundled_config_path().parent == package
    assert load_controller_config("PS4 Controller")["buttons"]["rb"] == 10

    env = gym.make("gym_hil/PandaPickCube-v0")
    observation, _ = env.reset(seed=0)
    assert observation["environment_state"].shape == (3,)
    for _ in range(10):
        observation, _, _, _, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
    assert info["is_intervention"] is False
    env.close()

    env = gym.make("gym_hil/PandaArrangeBoxesBase-v1", image_obs=True, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    for view in ("front", "wrist"):
        assert len(np.unique(observation["pixels"][view].reshape(-1, 3), axis=0)) > 20, f"{view} is nearly empty"
    assert env.render().shape == (128, 128, 3)
    env.close()

    command = Path(sys.executable).with_name("gym-hil")
    subprocess.run([command, "doctor"], check=True)
    for file in ("index.html", "main.js", "vendor/three.js", "vendor/LICENSES.txt"):
        assert (package / "console" / "static" / file).is_file(), f"the web page lacks {file}"
    policies = pretrained_policies()
    assert policies
    assert all(policy.file.is_file() for policy in policies.values())
    record = ["record", "--repo-id", "me/demo", "--root", "demo", "--episodes", "1", "--device", "scripted"]
    trainer = command.with_name("hil-trainer")
    for extra, words in (
        ("web", [command, "teleop", "--device", "web"]),
        ("data", [command, *record]),
        ("train", [trainer, "train", "--out", "run"]),
        ("train", [trainer, "eval", "run"]),
        ("train", [command, "eval", "--policy", next(iter(policies))]),
    ):
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        assert result.returncode == 1, result
        assert f"gym-hil[{extra}]" in result.stderr, result.stderr
    print(f"smoke test passed: gym-hil {importlib.metadata.version('gym-hil')} in {package}")


if __name__ == "__main__":
    main()
