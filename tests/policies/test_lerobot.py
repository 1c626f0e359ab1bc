"""LeRobot's policies act here, and LeRobot evaluates them in environments of ours.

Needs GYM_HIL_LEROBOT_PYTHON, the Python of a LeRobot 0.6.1 install.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

PYTHON = os.environ.get("GYM_HIL_LEROBOT_PYTHON", "")
ROOT = Path(__file__).parents[2]
DISTRIBUTION = ROOT / "integrations" / "lerobot_env_gym_hil"
EVAL = "from lerobot.scripts.lerobot_eval import main; main()"
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="GYM_HIL_LEROBOT_PYTHON names no Python with LeRobot 0.6.1"),
    pytest.mark.slow,
]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run LeRobot's Python with this source tree, and with our distribution as if it were installed."""
    installed = folder / "installed" / "lerobot_env_gym_hil-0.1.0.dist-info"
    installed.mkdir(parents=True, exist_ok=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: lerobot_env_gym_hil\nVersion: 0.1.0\n")
    path = os.pathsep.join(map(str, (installed.parent, DISTRIBUTION, ROOT)))
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "PYTHONPATH": path}
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MUJOCO_GL")} | offline
    return subprocess.run([PYTHON, *words], env=environment, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def act(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained ACT policy."""
    folder = tmp_path_factory.mktemp("act")
    result = run(folder, str(ROOT / "tests/policies/lerobot_saves.py"), str(folder / "pretrained_model"))
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def test_a_policy_of_lerobot_is_evaluated(act: Path) -> None:
    words = ["-m", "gym_hil", "eval", "--policy", str(act), "--episodes", "2", "--max-episode-steps", "3"]
    result = run(act, *words)
    assert result.stdout.endswith("3.0 steps an episode\nsuccesses: 0/2\n"), result.stderr
    result = run(act, *words, "--images")
    assert result.returncode == 1
    assert "the observation lacks observation.environment_state" in result.stderr


def test_lerobot_evaluates_in_a_task(act: Path) -> None:
    words = [f"--policy.path={act / 'pretrained_model'}", "--policy.device=cpu", f"--output_dir={act / 'out'}"]
    env = ["--env.type=gym_hil", "--env.images=false", "--env.max_episode_steps=4"]
    result = run(
        act, "-c", EVAL, *words, *env, "--eval.n_episodes=2", "--eval.batch_size=2", "--eval.use_async_envs=false"
    )
    assert result.returncode == 0, result.stderr[-3000:]
    overall = json.loads((act / "out" / "eval_info.json").read_text())["overall"]
    assert overall["n_episodes"] == 2
    assert overall["pc_success"] == 0.0
    assert len(list((act / "out" / "videos").rglob("*.mp4"))) == 2


def test_the_hub_finds_vector_environments_of_any_environment(act: Path) -> None:
    code = (
        "from env import make_env; from lerobot_env_gym_hil import GymHilEnv\n"
        "envs = make_env(n_envs=2)['gym_hil'][0]\n"
        "observation, _ = envs.reset(seed=[0, 1])\n"
        "print(observation['pixels']['front'].shape, observation['agent_pos'].shape)\n"
        "config = GymHilEnv(task='Pendulum-v1', action_map='x=0')\n"
        "print({key: feature.shape for key, feature in config.features.items()})\n"
        "observation, _ = make_env(cfg=config)['gym_hil'][0].reset(seed=0)\n"
        "print({key: value.shape for key, value in observation.items()})\n"
    )
    result = run(act, "-c", code)
    assert result.stdout.splitlines()[-3:] == [
        "(2, 128, 128, 3) (2, 18)",
        "{'action': (1,), 'observation.state': (3,)}",
        "{'agent_pos': (1, 3)}",
    ], result.stderr[-3000:]
