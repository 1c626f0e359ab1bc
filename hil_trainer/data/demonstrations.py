"""Recorded episodes as transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets import Episode, EpisodeDataset
from gym_hil.datasets.features import IMAGES, VECTORS
from hil_trainer.data.n_step import NStepReturns
from hil_trainer.data.observations import Observation, ObservationLayout, ViewEncoder
from hil_trainer.data.replay_buffer import Transition
from hil_trainer.errors import DemonstrationsError
from hil_trainer.rollout.actor import EpisodeSummary, Rollout


def read_demonstrations(
    path: Path,
    layout: ObservationLayout,
    *,
    action_low: NDArray[np.float32],
    action_high: NDArray[np.float32],
    discount: float,
    n_step: int,
    encoder: ViewEncoder | None = None,
) -> Iterator[Rollout]:
    """Read a LeRobotDataset, an episode at a time.

    What was recorded after a success is left out: an episode that is trained on ends there.

    Args:
        path: its folder.
        layout: of the observations that are needed.
        action_low: (actions,) of the environment's action space.
        action_high: likewise.
        discount: of a reward one step later.
        n_step: over how many steps rewards are added up.
        encoder: of the views, where the layout has them encoded.

    Returns:
        What happened in each episode, read when it is asked for.

    Raises:
        DemonstrationsError: the dataset lacks something that is needed, or its actions are of another kind.
        DatasetError: it cannot be read.
    """
    dataset = EpisodeDataset(path)
    _check(dataset, layout, len(action_low))
    middle, half = (action_low + action_high) / 2, (action_high - action_low) / 2

    def scaled(action: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.clip((action - middle) / half, -1, 1).astype(np.float32)

    def obs(observation: dict[str, Any]) -> Observation:
        return _seen(layout, observation, encoder)

    return (_rollout(episode, obs, scaled, NStepReturns(discount, n_step)) for episode in dataset)


def _rollout(
    episode: Episode,
    read: Callable[[dict[str, Any]], Observation],
    scaled: Callable[[NDArray[np.floating]], NDArray[np.float32]],
    returns: NStepReturns,
) -> Rollout:
    transitions: list[Transition] = []
    total, by_operator, length = 0.0, 0, 0
    obs: Observation | None = None
    for step in episode.transitions():
        is_intervention = bool(step.info.get("complementary_info.is_intervention", True))
        success = bool(step.info.get("next.success", False))
        total += step.reward
        by_operator += is_intervention
        # What was obs after a step is obs before the next one, and not encoded again.
        obs = read(step.observation) if obs is None else obs
        following = read(step.next_observation)
        transitions += returns.add(
            obs,
            scaled(step.action),
            step.reward,
            following,
            penalty=float(step.info.get("complementary_info.discrete_penalty", 0.0)),
            terminated=step.terminated or success,
            truncated=step.truncated,
            is_intervention=is_intervention,
        )
        obs = following
        length += 1
        if success:
            break
    summary = EpisodeSummary(bool(episode.record.success), length, by_operator, total, demonstration=True)
    return Rollout(transitions, [summary], length, by_operator, demonstration=True)


def _seen(layout: ObservationLayout, observation: dict[str, Any], encoder: ViewEncoder | None) -> Observation:
    known = {name: observation[feature] for name, feature in VECTORS.items() if feature in observation}
    images = {camera: observation[IMAGES + camera] for camera in layout.views}
    return layout.read({**known, "pixels": images}, encoder=encoder)


def _check(dataset: EpisodeDataset, layout: ObservationLayout, actions: int) -> None:
    if layout.privileged:
        names = " and ".join(name for name, _ in layout.privileged)
        raise DemonstrationsError(
            f"{dataset.path} does not hold what only the simulation knows ({names}). Train with --no-privileged, or "
            "let the operator show the task: --demos 20."
        )
    unknown = [name for name, _ in layout.measured if name not in VECTORS]
    if unknown:
        raise DemonstrationsError(
            f"Datasets do not hold {' and '.join(unknown)}, which the task's observations have. Let the operator show "
            "the task: --demos 20."
        )
    wanted: dict[str, list[int] | None] = {VECTORS[name]: [size] for name, size in layout.measured}
    wanted |= dict.fromkeys([IMAGES + camera for camera in layout.views])  # of any size
    wanted["action"] = [actions]
    for key, shape in wanted.items():
        feature = dataset.features.get(key)
        if feature is None:
            raise DemonstrationsError(
                f"{dataset.path} has no {key}; it has {', '.join(dataset.features)}. Train with the other --obs, or "
                "record anew."
            )
        if shape is not None and list(feature["shape"]) != shape:
            raise DemonstrationsError(f"{key} of {dataset.path} has the shape {feature['shape']}; expected {shape}.")
