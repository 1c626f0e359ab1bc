"""The settings that suit a task."""

from __future__ import annotations

from typing import Any

from hil_trainer.config import (
    NO_OPERATOR,
    SCRIPTED,
    ACFQLConfig,
    BCConfig,
    EnvConfig,
    EvaluationConfig,
    OperatorConfig,
    SACConfig,
    TrainConfig,
)


def default_algorithm(
    task: str,
    obs: str,
    *,
    encoder: str | None = None,
    operator: str = SCRIPTED,
    demos: str | None = None,
    steps: str | None = None,
    ray: str | None = None,
) -> str:
    """The algorithm that needs the fewest steps of the operator, see docs/training.md.

    Args:
        task: see `EnvConfig`.
        obs: see `EnvConfig`.
        encoder: see `EnvConfig`.
        operator: see `OperatorConfig.device`.
        demos: see `TrainConfig`; None if that is not given.
        steps: likewise. Without an operator, what imitates cannot make any.
        ray: see `RayConfig.address`.
    """
    name = task.lower()
    is_task = any(one in name for one in ("pickcube", "arrangeboxes", "insertpeg"))
    if not is_task or demos == "0" or ray is not None or (operator == NO_OPERATOR and steps != "0"):
        return "sac"
    # The small encoder of images learns to pick a cube from rewards sooner than from an operator's actions.
    return "sac" if "pickcube" in name and obs == "pixels" and encoder is None else "bc"


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
        demos, offline_steps = "7", 3_000
        if algorithm == "acfql" and (is_boxes or is_peg):
            # A small error fails an episode, so the policy stays near to what it imitates.
            alpha = 300.0 if is_peg else 100.0
            flow = {"alpha": alpha, "online_alpha": alpha}
        if is_boxes:
            demos, offline_steps = "45", 16_000
            flow |= {"batch_size": 512} if algorithm == "bc" else {"discount": 0.99}
            flow["attention_heads"] = 4
            operator["patience"] = 40  # one who takes over drives the rest of a long episode
        if is_peg:
            demos, offline_steps = "40", 24_000
        if sees_images:  # which make a window expensive
            demos = "35"
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
