"""Recorded episodes as demonstrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.datasets import Episode, EpisodeDataset
from gym_hil.datasets.features import IMAGES, VECTORS
from hil_trainer.data.actions import ActionScale
from hil_trainer.data.observations import JOINT_POSITIONS_PART, ImageEncoder, Observation, ObservationLayout
from hil_trainer.data.transitions import EpisodeSummary, NStepReturns, Rollout, RowFormat, Step
from hil_trainer.errors import DemonstrationsError

_IS_INTERVENTION = "complementary_info.is_intervention"


def read_demonstrations(
    path: Path,
    layout: ObservationLayout,
    *,
    action_scale: ActionScale,
    discount: float,
    n_step: int,
    encoder: ImageEncoder | None = None,
    chunk_size: int = 1,
) -> Iterator[Rollout]:
    """Read a LeRobotDataset, an episode at a time.

    Steps that were recorded after a success are left out: in training an episode ends with success.

    Args:
        path: its folder.
        layout: of the observations that are needed.
        action_scale: between the policy's and the environment's.
        discount: discount factor of one step.
        n_step: steps over which rewards are summed.
        encoder: of the images, if the layout has an encoding.
        chunk_size: steps that the longest episode needs at least.

    Returns:
        A rollout of each episode, read when it is asked for.

    Raises:
        DemonstrationsError: the dataset lacks something that is needed, its actions are of another kind, or no operator
            acts in it.
        DatasetError: it cannot be read, or a value in it is not finite.
    """
    dataset = EpisodeDataset(path)
    features = _features(layout)
    _check(dataset, layout, len(action_scale))
    _check_numbers(dataset, chunk_size)
    returns = NStepReturns(RowFormat(layout, len(action_scale)), discount, n_step)

    def read_observation(observation: Mapping[str, Any]) -> Observation:
        parts = {name: observation[feature] for name, feature in features.items() if feature in observation}
        images = {camera: observation[IMAGES + camera] for camera in layout.views}
        return layout.read_parts({**parts, "pixels": images}, encoder=encoder)

    def read_step(step: Any) -> Step:
        success = bool(step.info.get("next.success", False))
        return Step(
            action=np.clip(action_scale.to_policy(step.action), -1, 1),
            reward=float(step.reward),
            gripper_penalty=float(step.info.get("complementary_info.discrete_penalty", 0.0)),
            obs=read_observation(step.next_observation),
            terminated=step.terminated or success,
            truncated=step.truncated,
            is_intervention=bool(step.info.get(_IS_INTERVENTION, True)),
            success=success,
        )

    def read_episode(episode: Episode) -> Rollout:
        returns.discard_episode()
        total, operator_steps, length = 0.0, 0, 0
        obs: Observation | None = None
        for transition in episode.transitions():
            # The observation after a step is the one before the next step, and not encoded again.
            obs = read_observation(transition.observation) if obs is None else obs
            step = read_step(transition)
            returns.add(obs, step)
            obs, length = step.obs, length + 1
            total, operator_steps = total + step.reward, operator_steps + step.is_intervention
            if step.success:
                break
        summary = EpisodeSummary(bool(episode.record.success), length, operator_steps, total, demonstration=True)
        return Rollout(returns.take(), [summary], length, operator_steps, demonstration=True)

    return map(read_episode, dataset)


def _features(layout: ObservationLayout) -> dict[str, str]:
    """The features of a dataset that may hold parts of the state."""
    return {name: name for name, _ in layout.measured} if layout.is_foreign else VECTORS


def _check(dataset: EpisodeDataset, layout: ObservationLayout, actions: int) -> None:
    if layout.privileged:
        names = " and ".join(name for name, _ in layout.privileged)
        raise DemonstrationsError(
            f"{dataset.path} does not hold the simulation state {names}. Train with --no-privileged, or let the "
            "operator demonstrate the task: --demos 20."
        )
    features = _features(layout)
    recorded = [part for part in layout.measured if part != JOINT_POSITIONS_PART]
    unknown = [name for name, _ in recorded if name not in features]
    if unknown:
        raise DemonstrationsError(
            f"Datasets do not hold {' and '.join(unknown)}, which the task's observations have. Let the operator "
            "demonstrate the task: --demos 20."
        )
    expected: dict[str, list[int] | None] = {features[name]: [size] for name, size in recorded}
    expected |= dict.fromkeys([IMAGES + camera for camera in layout.views])  # of any size
    expected["action"] = [actions]
    for key, shape in expected.items():
        feature = dataset.features.get(key)
        if feature is None and key == VECTORS["force_torque"]:
            raise DemonstrationsError(
                f"{dataset.path} was recorded without force and torque. Record demonstrations with gym-hil record "
                "--force-torque, let the operator demonstrate with --demos 20, or train without --force-torque."
            )
        if feature is None:
            raise DemonstrationsError(
                f"{dataset.path} has no {key}; it has {', '.join(dataset.features)}. Train with the other --obs, or "
                "record a new dataset."
            )
        if shape is not None and list(feature["shape"]) != shape:
            raise DemonstrationsError(f"{key} of {dataset.path} has the shape {feature['shape']}; expected {shape}.")


def _check_numbers(dataset: EpisodeDataset, chunk_size: int) -> None:
    """Check all numbers before anything is learned from them."""
    longest = max((record.length for record in dataset.episodes), default=0)
    if longest < chunk_size:
        raise DemonstrationsError(
            f"The longest of {len(dataset)} episodes of {dataset.path} has {longest} steps; expected {chunk_size} or "
            "more. Choose a smaller chunk_size, or record other episodes."
        )
    shown = [episode.numbers().get(_IS_INTERVENTION) for episode in dataset]  # which checks that they are finite
    if not any(steps is None or steps.any() for steps in shown):
        raise DemonstrationsError(f"No operator acts in {dataset.path}. Record episodes in which one does.")
