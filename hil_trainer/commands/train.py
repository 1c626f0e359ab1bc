"""Learn a task, with an operator who helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hil_trainer.agents.policy_file import load_policy
from hil_trainer.arguments import parse
from hil_trainer.config import TrainConfig
from hil_trainer.logging.plots import write_report
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.logging.videos import write_grid_video
from hil_trainer.rollout.evaluation import Greedy, evaluate, evaluation_env
from hil_trainer.train import Training

FILMED = 9
HELD_OUT = 1_000_000  # by which the seeds of the last evaluation are beyond those that decided


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer train`."""
    arguments = parse(words)
    training = Training(
        arguments.settings,
        arguments.out,
        resume=arguments.resume,
        progress=TrainingStatus(verbose=arguments.verbose),
    )
    try:
        if training.env.introduction:
            print(training.env.introduction, flush=True)
        outcome = training.run()
    finally:
        training.close()
        write_report(arguments.out)
    if outcome.stopped:
        print(f"go on with: hil-trainer train --resume --out {arguments.out}")
        return 0
    if outcome.reached is None:
        print(f"the target of {arguments.settings.evaluation.target:.0%} was not reached in {outcome.steps:,} steps")
    print(_held_out(arguments.settings, arguments.out))
    print(f"policy, curves and video in {arguments.out}")
    return 0


def _held_out(config: TrainConfig, directory: Path) -> str:
    """Evaluate what was kept on episodes that decided nothing, and film some."""
    env = evaluation_env(config)
    try:
        loaded = load_policy(directory)
        seed = config.evaluation.seed + HELD_OUT
        evaluation = evaluate(env, Greedy(loaded.policy), episodes=config.evaluation.episodes, seed=seed, filmed=FILMED)
        fps = round(1 / env.control_dt)
    finally:
        env.close()
    write_grid_video(directory / "report" / "evaluation.mp4", evaluation.frames, fps, evaluation.outcomes[:FILMED])
    return f"on {evaluation.episodes} other episodes: {evaluation.successes} successes"
