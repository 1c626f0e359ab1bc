"""How well a reward classifier judges what it has not seen, after 20 recorded episodes."""

import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.report import Row
from gym_hil.datasets import EpisodeDataset, RecordEpisodes

ACCURACY = 0.98
ENV = "gym_hil/PandaPickCube-v1"
TASK = "pick cube"  # as `gym-hil record` writes it, so that the datasets can be merged
STEPS_AFTER_SUCCESS = 10
FAILURE_STEPS = 60
OTHER_CUBES = 500  # added to a seed
OPEN, STAY, CLOSE = 0.0, 1.0, 2.0
STILL = np.array([0, 0, 0, STAY], dtype=np.float32)
OPERATOR = {"motion_noise": 0.1, "reaction_delay": 3}  # as `hil-trainer train` has it


def reward_classifier(quick: bool = False, *, encoder: str | None = None) -> Row:
    """Ten successes of the scripted operator and ten failures to train with, as many of other seeds to try it on."""
    from hil_trainer.reward_classifier import evaluate_classifier

    half = 3 if quick else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = record(folder / "seen", half, seed=0)
        unseen = record(folder / "unseen", half, seed=1000)
        model = folder / "classifier"
        start = time.monotonic()
        options = [*(["--encoder", encoder] if encoder else []), *(["--epochs", "3"] if quick else [])]
        train(["classifier", "train", *map(str, seen), "--out", str(model), *options])
        seconds = time.monotonic() - start
        scores = evaluate_classifier(model, unseen, folder / "held_out")
        live = watch(model, 2 if quick else 20)
    return Row(
        f"Reward classifier{f' with --encoder {encoder}' if encoder else ''} after 20 episodes, on frames of 20 others",
        f"at least {ACCURACY:.0%} right",
        f"{scores.accuracy:.2%} of {scores.frames}, precision {scores.precision:.4f}, recall {scores.recall:.4f}, "
        f"AUC {scores.auc:.5f}; trained in {seconds:.0f} s; {live}",
        scores.accuracy >= ACCURACY,
    )


def reward_classifier_imagenet(quick: bool = False) -> Row:
    """The same through the frozen encoder."""
    return reward_classifier(quick, encoder="imagenet")


def train(words: Sequence[str]) -> None:
    """Run `hil-trainer`; what it prints is shown, and a failure is an error."""
    from hil_trainer.cli import main

    with contextlib.redirect_stdout(sys.stderr):
        if main(words):
            raise RuntimeError(f"hil-trainer {' '.join(words)} failed")


def record(folder: Path, half: int, *, seed: int) -> list[Path]:
    """Record `half` successes of an operator who is slow and shaky, and as many failures of two kinds."""
    success, failure = folder / "success", folder / "failure"
    record_successes(success, half, seed)
    record_failures(failure, EpisodeDataset(success), half, seed + OTHER_CUBES)
    return [success, failure]


def record_successes(root: Path, episodes: int, seed: int) -> None:
    """Record as `gym-hil record --steps-after-success 10` does, with an operator who is slow and shaky."""
    env = gym.make(ENV, image_obs=True, device="scripted", device_options=OPERATOR)
    env = RecordEpisodes(env, root, "me/success", task=TASK, steps_after_success=STEPS_AFTER_SUCCESS, seed=seed)
    for _ in range(episodes):
        env.reset()
        run_episode(env, itertools.repeat(STILL))
    env.close()


def run_episode(env: gym.Env, actions: Iterable[np.ndarray]) -> list[dict[str, Any]]:
    """Step to the end of an episode. Returns the info of each step."""
    infos = []
    for action in actions:
        *_, terminated, truncated, info = env.step(action)
        infos.append(info)
        if terminated or truncated:
            break
    return infos


def record_failures(root: Path, successes: EpisodeDataset, episodes: int, seed: int) -> None:
    """Record episodes without success: in turn a gripper that closes beside the cube and lifts, and wandering about.

    The first kind repeats what the operator did in a success, with the cube elsewhere: nearly all is as in a success
    but the cube.
    """
    rng = np.random.default_rng([seed, 1])
    env = gym.make(ENV, image_obs=True, max_episode_steps=FAILURE_STEPS)
    env = RecordEpisodes(env, root, "me/failure", task=TASK, seed=seed)
    for episode in range(episodes):
        repeated = itertools.chain(successes[episode % len(successes)]["action"], itertools.repeat(STILL))
        env.reset()
        run_episode(env, wander(rng) if episode % 2 else repeated)
    env.close()


def wander(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Actions that go somewhere for a while, with the gripper closed half of the time."""
    motion, gripper = np.zeros(3), STAY
    while True:
        if rng.random() < 0.15:
            motion = rng.uniform(-1, 1, 3)
        if rng.random() < 0.1:
            gripper = rng.choice([OPEN, STAY, CLOSE])
        yield np.array([*motion, gripper], dtype=np.float32)


def watch(model: Path, episodes: int) -> str:
    """Let a classifier end the episodes of a slow, shaky operator, as in training, and look at what it saw."""
    from hil_trainer.reward_classifier import ClassifierSuccess

    success = ClassifierSuccess(model)
    env: Any = gym.make(ENV, image_obs=True, device="scripted", device_options=OPERATOR, success=success)
    base = env.unwrapped
    lifts, gripped, agreed = [], 0, []
    for episode in range(episodes):
        env.reset(seed=5000 + episode)
        ground = base.cube_position[2]
        infos = run_episode(env, itertools.repeat(STILL))
        agreed += [info["succeed"] == info["next.success"] for info in infos]
        if infos[-1]["next.success"]:
            lifts.append(base.cube_position[2] - ground)
            gripped += base.fingers_touching("cube_geom") == {"left_finger", "right_finger"}
    env.close()
    heights = f"{min(lifts):.3f} to {max(lifts):.3f} m high" if lifts else "never"
    return (
        f"{episodes} live episodes, shaky operator: {len(lifts)} ended as success; in {gripped} of them the cube was "
        f"gripped, {heights} (the simulator asks for 0.1 m); in {np.mean(agreed):.2%} of {len(agreed)} steps it agrees "
        "with the simulator"
    )
