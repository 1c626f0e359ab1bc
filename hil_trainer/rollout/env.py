"""The environment of a training: observations of one layout, actions in [-1, 1], an operator who can take over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import gym_hil
from gym_hil import display
from gym_hil.env_options import EnvOptions, parse_kwargs, with_randomize
from gym_hil.envs.threads import WorkThreads
from gym_hil.errors import ConfigurationError
from gym_hil.imports import describe_error, is_function_name
from gym_hil.pacing import Pacer
from gym_hil.rendering import Renderer, make_renderer
from gym_hil.teleop.operator import OperatorOptions, introduce, is_limit, seconds_paused
from gym_hil.teleop.registry import find_device_class
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from hil_trainer.config import NO_OPERATOR, SCRIPTED, EnvConfig, TrainConfig
from hil_trainer.data.actions import ActionScale
from hil_trainer.data.observations import (
    JOINT_POSITIONS_PART,
    Encoding,
    Observation,
    ObservationLayout,
    Part,
    encoded,
    foreign_parts,
)
from hil_trainer.data.transitions import Step
from hil_trainer.rollout.scheduled_operator import ScheduledOperator

if TYPE_CHECKING:
    from hil_trainer.agents.frozen_encoder import FrozenEncoder

VIDEO_SIZE = 192  # height and width of video frames, pixels
_PRIVILEGED = ("environment_state", "gripper_closed")  # simulation state for the critics


class RolloutEnv:
    """One environment with or without an operator.

    Args:
        config: names the task and what is observed of it.
        operator: who can take over; None for the one of the configuration.
        encoder: of the images; None for the one of the configuration, if it names one.
        filmed: whether `render` will be called.

    Attributes:
        env: the environment.
        layout: of the observations.
        encoder: the frozen encoder of the images, if there is one.
        actions: size of an action.
        action_scale: between the policy's and the environment's.
        scripted_operator: the operator, if it is the scripted one or another program.
        is_human: whether the operator is a human.
        introduction: what a human operator has to know before the first step.
        render_problem: why `render` has returned no image.

    Raises:
        ConfigurationError: there is no such environment, or a setting does not fit it.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        operator: str | None = None,
        encoder: FrozenEncoder | None = None,
        filmed: bool = False,
    ):
        operator = config.operator.device if operator is None else operator
        self.encoder = encoder or _encoder(config)
        options = env_options(config.env)
        self._is_task = options.is_task()
        if operator == SCRIPTED and not self._is_task:
            raise ConfigurationError(
                f"The scripted operator does not know {config.env.task}. Give --operator MODULE:FUNCTION of your own, "
                "or a device; or --operator none --demos 0."
            )
        task_kwargs: dict[str, Any] = {"reward_type": config.env.reward}
        if config.env.obs == "pixels":
            size = config.image_size
            task_kwargs |= {"image_obs": True, "render_spec": gym_hil.GymRenderingSpec(height=size, width=size)}
        if config.env.force_torque:
            if not self._is_task:
                raise ConfigurationError(
                    f"force_torque is for tasks of gym_hil; choose what {config.env.task} observes with --env-kwargs."
                )
            task_kwargs["force_torque_obs"] = True
        self.scripted_operator: ScheduledOperator | None = None
        device: ScheduledOperator | str | None = None if operator == NO_OPERATOR else operator
        if _is_program(operator):
            device = self.scripted_operator = ScheduledOperator(config.operator)
        intervention = None if self.scripted_operator is not None or device is None else config.operator.intervention
        self._has_classifier = config.env.reward_classifier is not None
        self._needs_own_success = not self._is_task and options.success == "info"
        can_choose = filmed and not self._is_task and "render_mode" not in options.kwargs
        mode = {"render_mode": "rgb_array"} if can_choose and "rgb_array" in options.render_modes() else {}
        viewer = None if isinstance(device, str) else False
        operator_options = OperatorOptions(
            device=device, intervention=intervention, orientation=config.env.orientation, viewer=viewer
        )
        self.env: gym.Env[Any, Any] = options.make(operator_options, task_kwargs=task_kwargs, **mode)
        try:
            self._adopt_env(config, operator)
        except BaseException:
            self.env.close()
            raise

    def _adopt_env(self, config: TrainConfig, operator: str) -> None:
        """Bring the environment to the console, and check and note what a policy needs to know of it."""
        if self.scripted_operator is not None:
            self.scripted_operator.attach(self.env)
        if config.env.console and not self.env.has_wrapper_attr("channel"):
            from gym_hil.console import get_console

            get_console()
            self.env = ConsoleWrapper(self.env)
        driver = None if operator == NO_OPERATOR else self.env.get_wrapper_attr("device")
        self.is_human = driver is not None and driver.human
        self.introduction = introduce(self.env) if self.is_human else ""
        space = self.env.action_space
        assert isinstance(space, gym.spaces.Box)
        if not (is_limit(space.low) & is_limit(space.high)).all():
            raise ConfigurationError(
                f"The action space of {config.env.task} is {space}; training needs limits of every number. Give it "
                "some, such as with gymnasium.wrappers.RescaleAction."
            )
        self._has_gripper_critic = config.learning.gripper == "discrete"
        gripper = self.env.get_wrapper_attr("gripper_index")
        if self._has_gripper_critic and gripper is None:
            raise ConfigurationError(
                f"gripper is discrete, but the action map of {config.env.task} has no gripper. Give "
                f"--{config.group}.gripper continuous, or an --action-map with gripper=INDEX."
            )
        self.actions = space.shape[0]
        self.action_scale = ActionScale(space.low, space.high, gripper if self._has_gripper_critic else None)
        self.layout = _layout(self.env, config, self.encoder, is_task=self._is_task)
        real_time = self.is_human if config.env.real_time is None else config.env.real_time
        self._pacer = Pacer(self.control_dt) if real_time else None
        self._paused = 0.0
        self._renderer: Renderer | None = None
        self.render_problem = f"{config.env.task} renders no images"

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
        """Start an episode; the seed is of all random numbers in it."""
        observation, _ = self.env.reset(seed=seed)
        self.restart_pace()
        return self._read(observation)

    def ask_for_help(self) -> None:
        """Have the policy ask the operator for help, until the episode ends."""
        self.env.get_wrapper_attr("ask_for_help")(True)

    @property
    def asks_for_help(self) -> bool:
        """Whether it does."""
        return bool(self.env.get_wrapper_attr("asks_for_help"))

    def restart_pace(self) -> None:
        """Keep real time from now on: an episode begins."""
        if self._pacer is not None:
            self._pacer.restart()
        self._paused = seconds_paused(self.env)

    def step(self, action: NDArray[np.float32]) -> Step:
        """Make a step with the policy's action, (actions,) in [-1, 1], or with the operator's."""
        observation, reward, terminated, truncated, info = self.env.step(self.action_scale.to_env(action))
        if self._needs_own_success and (terminated or truncated):
            self._check_own_success()
        if self._pacer is not None:
            paused = seconds_paused(self.env)
            self._pacer.leave_out(paused - self._paused)
            self._paused = paused
            self._pacer.wait()
        return Step(
            action=self.action_scale.to_policy(info["action_intervention"]),
            reward=float(reward),
            # A gripper that is only guessed from the number of actions must not cost anything.
            gripper_penalty=info["discrete_penalty"] if self._is_task or self._has_gripper_critic else 0.0,
            obs=self._read(observation),
            terminated=terminated,
            truncated=truncated,
            is_intervention=info["is_intervention"],
            success=info["next.success"],
            rerecord=info["rerecord_episode"],
            quit=info.get("quit", False),
            simulator_success=info["succeed"] if self._has_classifier else None,
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Image for videos: of a task's front camera, (VIDEO_SIZE, VIDEO_SIZE, 3) uint8.

        Of other environments what their `render()` returns. None if that is no image, see `render_problem`.
        """
        base: Any = self.env.unwrapped
        is_mujoco = hasattr(base, "model") and hasattr(base, "data")
        if self._is_task:
            return self._draw("front")
        if is_mujoco and "MUJOCO_GL" not in os.environ and display.missing_display():
            # MuJoCo's own renderer ends the process then.
            self.render_problem = f"{base} has no camera, and without a display needs MUJOCO_GL=egl"
            return self._draw(_steadiest_camera(base.model)) if base.model.ncam else None
        try:
            frame = self.env.render() if self.env.render_mode == "rgb_array" else None
        except Exception as error:  # any, from a user's environment
            frame, self.render_problem = None, f"{base} cannot render: {describe_error(error)}"
        is_image = isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.dtype == np.uint8
        return frame if is_image else None  # type: ignore[return-value]

    def close(self) -> None:
        """Close the environment and its device."""
        if self._renderer is not None:
            self._renderer.close()
        self.env.close()

    def _check_own_success(self) -> None:
        """Make sure, once, that something says whether an episode succeeds."""
        self._needs_own_success = False
        if not self.is_human and not self.env.get_wrapper_attr("reports_success"):
            raise ConfigurationError(
                f"{self.env.unwrapped} does not say whether an episode succeeds: info has neither is_success nor "
                "success. Give --success MODULE:FUNCTION, or --reward dense to learn from the environment's own reward."
            )

    def _draw(self, camera: str | int) -> NDArray[np.uint8]:
        base: Any = self.env.unwrapped
        if self._renderer is None:
            self._renderer = make_renderer("raster", base.model, VIDEO_SIZE, VIDEO_SIZE)
        return self._renderer.render(base.data, [camera])[0]

    def _read(self, observation: Any) -> Observation:
        base: Any = self.env.unwrapped
        privileged = {name: _simulation_state(base, name) for name, _ in self.layout.privileged}
        return self.layout.read(observation, privileged, self.encoder)


class RolloutEnvs:
    """Several environments; the first one is that of a human operator and of the console."""

    def __init__(self, envs: Sequence[RolloutEnv]):
        self._envs = list(envs)
        self._threads = WorkThreads(len(self._envs), main=0)

    @classmethod
    def of(cls, env: RolloutEnv | RolloutEnvs) -> RolloutEnvs:
        """One environment or several, as several."""
        return env if isinstance(env, RolloutEnvs) else cls([env])

    def __len__(self) -> int:
        return len(self._envs)

    def __getitem__(self, index: int) -> RolloutEnv:
        return self._envs[index]

    def __iter__(self) -> Iterator[RolloutEnv]:
        return iter(self._envs)

    def run(self, work: Callable[[int], None], indices: Sequence[int]) -> None:
        """Do some work for some environments; see `WorkThreads.run`."""
        self._threads.run(work, indices)

    def close(self) -> None:
        """End the threads, and close all environments."""
        self._threads.close()
        for env in self._envs:
            env.close()


def make_envs(
    config: TrainConfig,
    count: int,
    *,
    operator: str | None = None,
    encoder: FrozenEncoder | None = None,
    filmed: bool = False,
) -> RolloutEnvs:
    """Make the environments of a configuration; where one cannot be made, those before it are closed.

    Args:
        config: of the run. Of several environments, only the first one is on the console.
        count: number of environments.
        operator: see `RolloutEnv`, likewise the others.
        encoder: of the images.
        filmed: whether `render` will be called.

    Raises:
        ConfigurationError: there is no such environment, a setting does not fit it, or several would have one human or
            one real time.
    """
    envs: list[RolloutEnv] = []
    with ExitStack() as opened:
        for _ in range(count):
            envs.append(RolloutEnv(config, operator=operator, encoder=encoder, filmed=filmed))
            opened.callback(envs[-1].close)
            first = envs[0]
            if count > 1 and (first.is_human or first.in_real_time):
                raise ConfigurationError(
                    f"num_envs is {count}, but {'a human drives' if first.is_human else 'real time is for'} one "
                    "environment; leave --num-envs out. Evaluations have --evaluation.num-envs."
                )
            config, encoder = replace(config, env=replace(config.env, console=False)), first.encoder
        opened.pop_all()
    return RolloutEnvs(envs)


def env_options(config: EnvConfig) -> EnvOptions:
    """The environment that a configuration describes.

    With a sparse reward, success ends the episodes of any environment.
    """
    options = EnvOptions(
        id=config.task,
        kwargs=with_randomize(parse_kwargs(config.env_kwargs), config.randomize or None),
        action_map=config.action_map,
        max_episode_steps=config.max_episode_steps,
        success=config.success,
        fps=config.fps,
    )
    if config.reward_classifier is not None:
        from hil_trainer.reward_classifier.success import ClassifierSuccess

        return replace(options, success=ClassifierSuccess(config.reward_classifier))
    if config.success is None and config.reward == "sparse" and not options.is_task():
        return replace(options, success="info")
    return options


def _steadiest_camera(model: Any) -> int:
    """The camera that is nearest to the world in the tree of bodies; the last of several."""
    return min(range(model.ncam), key=lambda camera: (model.body_weldid[model.cam_bodyid[camera]], -camera))


def _is_program(operator: str) -> bool:
    """Whether an operator is the scripted one or a program of the user's, and no human."""
    return operator == SCRIPTED or (
        is_function_name(operator) and not getattr(find_device_class(operator), "human", True)
    )


def _encoder(config: TrainConfig) -> FrozenEncoder | None:
    if config.env.encoder is None or config.algorithm != "sac":  # whose policies encode images themselves
        return None
    from hil_trainer.agents.frozen_encoder import load_encoder

    return load_encoder(config.env.encoder, config.env.encoder_size)


def _layout(
    env: gym.Env[Any, Any], config: TrainConfig, encoder: FrozenEncoder | None, *, is_task: bool
) -> ObservationLayout:
    """What the policy and the critics see of an environment."""
    privileged: tuple[Part, ...] = ()
    if is_task:
        spaces: Any = env.observation_space
        state: tuple[Part, ...] = tuple((name, gym.spaces.flatdim(spaces[name])) for name in spaces if name != "pixels")
        if env.get_wrapper_attr("rotation_speed") is not None:
            state += (JOINT_POSITIONS_PART,)
        cameras = tuple(spaces.get("pixels", ()))
        if config.env.obs == "pixels" and config.env.privileged:
            privileged = tuple((name, np.size(_simulation_state(env.unwrapped, name))) for name in _PRIVILEGED)
    else:
        sample = foreign_parts(_zeros(env.observation_space))
        cameras = tuple(sample.pop("pixels"))
        state = tuple((name, int(value.size)) for name, value in sample.items())
        if config.env.obs == "pixels" and not cameras:
            raise ConfigurationError(
                f"obs is pixels, but {config.env.task} observes no images: Box of uint8, (height, width, 3). Give "
                "--obs state."
            )
        if config.env.obs == "state" and not state:
            raise ConfigurationError(f"obs is state, but {config.env.task} observes only images. Give --obs pixels.")
    if config.env.obs == "state":
        return ObservationLayout(state)
    if encoder is None:
        return ObservationLayout(state, privileged, cameras, config.image_size)
    state += tuple((encoded(camera), encoder.numbers) for camera in cameras)
    encoding = Encoding(cameras, encoder.size, encoder.source, encoder.sha256)
    return ObservationLayout(state, privileged, encoding=encoding)


def _zeros(space: gym.Space[Any]) -> Any:
    """An observation of a space."""
    if isinstance(space, gym.spaces.Dict):
        return {name: _zeros(part) for name, part in space.items()}
    if isinstance(space, (gym.spaces.Box, gym.spaces.MultiBinary)):
        return np.zeros(space.shape, space.dtype)
    raise ConfigurationError(
        f"The observation has a part {space}; a policy sees Box, MultiBinary, and Dict of these. Make one of it with "
        "gymnasium.wrappers.TransformObservation, or leave it out with FilterObservation."
    )


def _simulation_state(base: Any, name: str) -> Any:
    value = getattr(base, name)
    return value() if callable(value) else value
