"""The settings that suit a task."""

from __future__ import annotations

from typing import Any

from hil_trainer.config import (
    ACFQLConfig,
    BCConfig,
    EnvConfig,
    EvaluationConfig,
    OperatorConfig,
    SACConfig,
    TrainConfig,
)


def default_algorithm(task: str) -> str:
    """The default for a task: imitation where the reward comes too late for SAC; see docs/training.md."""
    name = task.lower()
    return "bc" if "arrangeboxes" in name or "insertpeg" in name else TrainConfig.algorithm


def defaults(task: str, obs: str, algorithm: str = "sac") -> TrainConfig:
    """The settings that suit a task.

    Args:
        task: see `EnvConfig`.
        obs: see `EnvConfig`.
        algorithm: see `TrainConfig`.
    """
    is_boxes, is_peg, sees_images = "arrangeboxes" in task.lower(), "insertpeg" in task.lower(), obs == "pixels"
    # Settings of the groups, by name.
    run, agent, operator, evaluation, flow = [dict[str, Any]() for _ in range(5)]
    if is_boxes:
        run, operator, evaluation = {"demos": "60", "steps": 100_000}, {"help_decay_episodes": 200}, {"every": 2_000}
        # A reward that comes some 260 steps later teaches little; an operator's actions teach much.
        agent = {"discount": 0.99, "n_step": 3, "imitation": 100.0, "policy_learning_rate": 1e-3, "attention_heads": 2}
        agent |= {"utd_ratio": 2, "width": 256}
    if sees_images:
        env, evaluation = EnvConfig(task, "pixels"), {"every": 500, "target": 0.95}
        agent |= {"utd_ratio": 2, "batch_size": 128, "buffer_capacity": 20_000, "width": 256}
        agent |= {"policy_learning_rate": 5e-4, "tau": 0.01}
    else:
        env = EnvConfig(task)
    if algorithm in ("bc", "acfql"):
        demos, offline_steps = ("5", 3_000) if algorithm == "bc" else ("7", 1_500)
        if is_boxes:
            demos, offline_steps = "45", 8_000
            flow = {"attention_heads": 4, "batch_size": 512}
            flow |= {"batch_size": 256, "discount": 0.99} if algorithm == "acfql" else {}
            operator["patience"] = 40  # one who takes over drives the rest of a long episode
        if is_peg:
            demos, offline_steps = "60", 6_000
        if sees_images:  # which make a window expensive
            demos, offline_steps = "35", 3_000 if algorithm == "acfql" else offline_steps
            flow |= {"batch_size": 64, "noise_samples": 4, "weight_decay": 1e-2, "buffer_capacity": 20_000}
        run |= {"algorithm": algorithm, "demos": demos, "offline_steps": offline_steps}
    return TrainConfig(
        **run,
        env=env,
        operator=OperatorConfig(**operator),
        agent=SACConfig(**agent),
        bc=BCConfig(**(flow if algorithm == "bc" else {})),
        acfql=ACFQLConfig(**(flow if algorithm == "acfql" else {})),
        evaluation=EvaluationConfig(**evaluation),
    )
