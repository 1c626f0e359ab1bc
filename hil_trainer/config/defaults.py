"""The settings that suit a task."""

from __future__ import annotations

import dataclasses
from typing import Any

from hil_trainer.config import ACFQLConfig, BCConfig, EnvConfig, EvaluationConfig, OperatorConfig, TrainConfig

# Of a flow that imitates, where images make a window expensive.
_FLOW_OF_PIXELS: dict[str, Any] = {
    "batch_size": 64,
    "noise_samples": 4,
    "weight_decay": 1e-2,
    "buffer_capacity": 20_000,
}


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
    config = _sac_defaults(task, obs)
    others = {"bc": _bc_defaults, "acfql": _acfql_defaults}
    return others[algorithm](config) if algorithm in others else config


def _sac_defaults(task: str, obs: str) -> TrainConfig:
    config = TrainConfig(env=EnvConfig(task=task))
    if "arrangeboxes" in task.lower():
        # A reward that comes some 260 steps later teaches little; an operator's actions teach much.
        agent = dataclasses.replace(
            config.agent,
            utd_ratio=2,
            width=256,
            discount=0.99,
            n_step=3,
            imitation=100.0,
            policy_learning_rate=1e-3,
            attention_heads=2,
        )
        config = dataclasses.replace(
            config,
            demos="60",
            steps=100_000,
            agent=agent,
            operator=OperatorConfig(help_decay_episodes=200),
            evaluation=EvaluationConfig(every=2_000),
        )
    if obs == "pixels":
        agent = dataclasses.replace(
            config.agent,
            utd_ratio=2,
            batch_size=128,
            buffer_capacity=20_000,
            width=256,
            policy_learning_rate=5e-4,
            tau=0.01,
        )
        config = dataclasses.replace(
            config,
            env=EnvConfig(task=task, obs="pixels"),
            agent=agent,
            evaluation=EvaluationConfig(every=500, target=0.95),
        )
    return config


def _bc_defaults(config: TrainConfig) -> TrainConfig:
    bc, demos, offline_steps = BCConfig(), "5", 3_000
    if "arrangeboxes" in config.env.task.lower():
        bc, demos, offline_steps = dataclasses.replace(bc, batch_size=512, attention_heads=4), "45", 8_000
        config = _patient(config)
    if "insertpeg" in config.env.task.lower():
        demos, offline_steps = "60", 6_000
    if config.env.obs == "pixels":
        bc = dataclasses.replace(bc, **_FLOW_OF_PIXELS)
        demos = "35"
    return dataclasses.replace(config, algorithm="bc", demos=demos, offline_steps=offline_steps, bc=bc)


def _acfql_defaults(config: TrainConfig) -> TrainConfig:
    acfql, demos, offline_steps = ACFQLConfig(), "7", 1_500
    if "arrangeboxes" in config.env.task.lower():
        acfql = dataclasses.replace(acfql, batch_size=256, attention_heads=4, discount=0.99)
        demos, offline_steps = "45", 8_000
        config = _patient(config)
    if "insertpeg" in config.env.task.lower():
        demos, offline_steps = "60", 6_000
    if config.env.obs == "pixels":
        acfql = dataclasses.replace(acfql, **_FLOW_OF_PIXELS)
        demos, offline_steps = "35", 3_000
    return dataclasses.replace(config, algorithm="acfql", demos=demos, offline_steps=offline_steps, acfql=acfql)


def _patient(config: TrainConfig) -> TrainConfig:
    """With a scripted operator who waits longer: one who takes over drives the rest of a long episode."""
    return dataclasses.replace(config, operator=dataclasses.replace(config.operator, patience=40))
