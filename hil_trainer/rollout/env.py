"""The environment of a training: observations of one layout, actions in [-1, 1], an operator who can take over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import gym_hil
from gym_hil.pacing import Pacer
from gym_hil.registration import env_id, find_task
from gym_hil.rendering import Renderer, make_renderer
from gym_hil.teleop.operator import OperatorOptions, introduce, seconds_paused
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from hil_trainer.config import NO_OPERATOR, SCRIPTED, TrainConfig
from hil_trainer.data.observations import Encoding, Observation, ObservationLayout, Part, encoded
from hil_trainer.data.transitions import Step
from hil_trainer.rollout.scheduled_operator import ScheduledOperator

if TYPE_CHECKING:
    from hil_trainer.agents.frozen_encoder import FrozenEncoder

VIDEO_SIZE = 192  # height and width of video frames, pixels
_PRIVILEGED = ("environment_state", "gripper_closed")  # simulation state for the critics


class Agent(Protocol):
    """Chooses actions: a policy."""

    def act(self, obs: Observation) -> NDArray[np.float32]:
        """(actions,) float32 in [-1, 1]."""

    def reset(self) -> None:
        """Forget what was planned: an episode begins, or the operator has acted."""


class RolloutEnv:
    """One environment with or without an operator.

    Args:
        config: names the task and what is observed of it.
        operator: who can take over; None for the one of the configuration.
        encoder: of the images; None for the one of the configuration, if it names one.

    Attributes:
        env: the environment.
        layout: of the observations.
        encoder: the frozen encoder of the images, if there is one.
        actions: size of an action.
        action_low: (actions,) bounds of the environment's action space.
        action_high: likewise.
        scripted_operator: the operator, if it is the scripted one.
        is_human: whether the operator is a human.
        introduction: what a human operator has to know before the first step.
    """

    def __init__(self, config: TrainConfig, *, operator: str | None = None, encoder: FrozenEncoder | None = None):
        operator = config.operator.device if operator is None else operator
        self.encoder = encoder or _encoder(config)
        name, version = find_task(config.env.task)
        options: dict[str, Any] = {"reward_type": config.env.reward}
        if config.env.obs == "pixels":
            size = config.image_size
            options |= {"image_obs": True, "render_spec": gym_hil.GymRenderingSpec(height=size, width=size)}
        self.scripted_operator: ScheduledOperator | None = None
        if operator == SCRIPTED:
            self.scripted_operator = ScheduledOperator(config.operator)
            options |= {"device": self.scripted_operator}
        elif operator != NO_OPERATOR:
            options |= OperatorOptions(device=operator, intervention=config.operator.intervention).env_kwargs()
        self._has_classifier = config.env.reward_classifier is not None
        if config.env.reward_classifier is not None:
            from hil_trainer.reward_classifier.success import ClassifierSuccess

            options["success"] = ClassifierSuccess(config.env.reward_classifier)
        self.env: gym.Env[Any, Any] = gym.make(env_id(name, version=version), **options)
        if self.scripted_operator is not None:
            self.scripted_operator.attach(self.env)
        if config.env.console and not self.env.has_wrapper_attr("channel"):
            from gym_hil.console import get_console

            get_console()
            self.env = ConsoleWrapper(self.env)
        device = None if operator == NO_OPERATOR else self.env.get_wrapper_attr("device")
        self.is_human = device is not None and device.human
        self.introduction = introduce(self.env) if self.is_human else ""
        space = self.env.action_space
        assert isinstance(space, gym.spaces.Box)
        self._middle, self._half = (space.low + space.high) / 2, (space.high - space.low) / 2
        self.actions = space.shape[0]
        self.action_low, self.action_high = space.low, space.high
        self.layout = _layout(self.env, config, self.encoder)
        real_time = self.is_human if config.env.real_time is None else config.env.real_time
        self._pacer = Pacer(self.control_dt) if real_time else None
        self._paused = 0.0
        self._renderer: Renderer | None = None

    @property
    def channel(self) -> Any:
        """The channel of the web console that shows this environment; None if none does."""
        return self.env.get_wrapper_attr("channel") if self.env.has_wrapper_attr("channel") else None

    @property
    def control_dt(self) -> float:
        """Duration of a step, s."""
        return self.env.get_wrapper_attr("control_dt")

    @property
    def in_real_time(self) -> bool:
        """Whether steps take as long as on a real robot."""
        return self._pacer is not None

    @property
    def pace(self) -> str:
        """A sentence on how well real time was kept; empty without real time."""
        return "" if self._pacer is None else self._pacer.report()

    def reset(self, seed: int) -> Observation:
        """Start an episode.

        Args:
            seed: of all random numbers in it.
        """
        observation, _ = self.env.reset(seed=seed)
        if self._pacer is not None:
            self._pacer.restart()
        self._paused = seconds_paused(self.env)
        return self._read(observation)

    def step(self, action: NDArray[np.float32]) -> Step:
        """Make a step with the policy's action, or with the operator's.

        Args:
            action: (actions,), each component in [-1, 1].
        """
        observation, reward, terminated, truncated, info = self.env.step(self._middle + self._half * action)
        executed = ((info["action_intervention"] - self._middle) / self._half).astype(np.float32)
        if self._pacer is not None:
            paused = seconds_paused(self.env)
            self._pacer.leave_out(paused - self._paused)
            self._paused = paused
            self._pacer.wait()
        return Step(
            action=executed,
            reward=float(reward),
            gripper_penalty=info["discrete_penalty"],
            obs=self._read(observation),
            terminated=terminated,
            truncated=truncated,
            is_intervention=info["is_intervention"],
            success=info["next.success"],
            rerecord=info["rerecord_episode"],
            quit=info.get("quit", False),
            simulator_success=info["succeed"] if self._has_classifier else None,
        )

    def render(self) -> NDArray[np.uint8]:
        """Image of the front camera for videos, (VIDEO_SIZE, VIDEO_SIZE, 3) uint8."""
        base: Any = self.env.unwrapped
        if self._renderer is None:
            self._renderer = make_renderer("raster", base.model, VIDEO_SIZE, VIDEO_SIZE)
        return self._renderer.render(base.data, ["front"])[0]

    def close(self) -> None:
        """Close the environment and its device."""
        if self._renderer is not None:
            self._renderer.close()
        self.env.close()

    def _read(self, observation: dict[str, Any]) -> Observation:
        base: Any = self.env.unwrapped
        privileged = {name: _simulation_state(base, name) for name, _ in self.layout.privileged}
        return self.layout.read(observation, privileged, self.encoder)


def _encoder(config: TrainConfig) -> FrozenEncoder | None:
    if config.env.encoder is None or config.algorithm == "bc":  # whose policy encodes the images that it plans from
        return None
    from hil_trainer.agents.frozen_encoder import load_encoder

    return load_encoder(config.env.encoder, config.env.encoder_size)


def _layout(env: gym.Env[Any, Any], config: TrainConfig, encoder: FrozenEncoder | None) -> ObservationLayout:
    spaces = env.observation_space
    assert isinstance(spaces, gym.spaces.Dict)
    state: tuple[Part, ...] = tuple(
        (name, int(np.prod(space.shape or ()))) for name, space in spaces.items() if name != "pixels"
    )
    if config.env.obs == "state":
        return ObservationLayout(state)
    pixels = spaces["pixels"]
    assert isinstance(pixels, gym.spaces.Dict)
    cameras = tuple(pixels)
    names = _PRIVILEGED if config.env.privileged else ()
    privileged = tuple((name, np.size(_simulation_state(env.unwrapped, name))) for name in names)
    if encoder is None:
        return ObservationLayout(state, privileged, cameras, config.image_size)
    state += tuple((encoded(camera), encoder.numbers) for camera in cameras)
    encoding = Encoding(cameras, encoder.size, encoder.source, encoder.sha256)
    return ObservationLayout(state, privileged, encoding=encoding)


def _simulation_state(base: Any, name: str) -> Any:
    value = getattr(base, name)
    return value() if callable(value) else value
