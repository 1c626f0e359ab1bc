"""Settings of the environment and of its operator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gym_hil.errors import ConfigurationError, require

NO_OPERATOR, SCRIPTED = "none", "scripted"
# Settings of the environment that a policy is evaluated with.
ENV_OPTIONS = (
    *("reward", "orientation", "force_torque", "env_kwargs", "randomize"),
    *("action_map", "max_episode_steps", "success", "fps"),
)


@dataclass(frozen=True)
class EnvConfig:
    """The environment, and what is observed of it.

    Attributes:
        task: name of a task, such as PandaPickCube-v1; without a version the newest. Or the id of any Gymnasium
            environment, or module:Id, see docs/your_environment.md.
        obs: "state": vectors only. "pixels": the images too; of a task of gym_hil two cameras and proprioception.
        privileged: with pixels, let the critics see simulation state that the policy does not see.
        reward: "sparse": 1 on success, else 0. "dense": also for progress towards success; of an environment that is
            no task of gym_hil, its own reward.
        orientation: whether the action of a task has a rotation, so that the policy turns the gripper; if not given,
            where the task needs it.
        force_torque: observe force and torque at the wrist too; of a task.
        reward_classifier: folder of a trained reward classifier that replaces the simulation's success.
        image_size: height and width of the images that the policy sees, in pixels.
        encoder: with pixels, a pretrained image encoder that stays frozen: imagenet, or package.module:function that
            returns a torch.nn.Module. If not given, an encoder is learned.
        encoder_size: height and width of the images that the frozen encoder sees, in pixels.
        real_time: step the environment in real time; if not given, only with a human operator.
        console: show the training on the web console.
        env_kwargs: arguments of the environment, KEY=VALUE with a Python literal or else text as the value.
        randomize: what of a task of gym_hil varies between episodes: light, full, or NAME=LOW,HIGH for names of
            docs/randomization.md.
        action_map: which numbers of the action the operator moves, such as x=0,y=1,z=2,gripper=-3, or
            module:function; if not given, guessed from 3, 4, 6 or 7 numbers.
        max_episode_steps: steps after which an episode ends, -1 for no limit; if not given, the environment's own.
        success: module:function of an observation and info that says whether the task is done; if not given, the
            environment's own success.
        fps: steps per second of an environment that does not say it.
    """

    task: Annotated[str, tyro.conf.arg(aliases=("--env",))] = "PandaPickCube-v1"
    obs: Literal["state", "pixels"] = "state"
    privileged: bool = True
    reward: Literal["sparse", "dense"] = "sparse"
    orientation: bool | None = None
    force_torque: bool = False
    reward_classifier: Path | None = None
    image_size: int = 64
    encoder: str | None = None
    encoder_size: int = 128
    real_time: bool | None = None
    console: bool = False
    env_kwargs: tuple[str, ...] = ()
    randomize: tuple[str, ...] = ()
    action_map: str | None = None
    max_episode_steps: int | None = None
    success: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        require(self, "more than 0", ("image_size", "encoder_size"), lambda value: value > 0)
        require(self, "a multiple of 4", ("image_size",), lambda value: value % 4 == 0)
        if self.encoder is not None and self.obs != "pixels":
            raise ConfigurationError(
                f"encoder is {self.encoder}, but obs is {self.obs}; an encoder is for images: --obs pixels."
            )
        if self.success is not None and self.reward_classifier is not None:
            raise ConfigurationError(
                f"success is {self.success} and reward_classifier is {self.reward_classifier}; give one of them."
            )


@dataclass(frozen=True)
class OperatorConfig:
    """The operator who can take over, and how the scripted operator helps.

    Attributes:
        device: who can take over: a device, several with commas, auto, scripted or none; docs/devices.md lists the
            devices. Or module:function, which is called with the environment and makes a device; one with the
            attribute human = False helps as the scripted operator does.
        intervention: when a human operator drives: toggle, stay, hold or auto; if not given, the device's own mode.
        reaction_delay: steps between what the scripted operator sees and its action.
        motion_noise: tremor of the scripted operator's hand, as a fraction of full speed.
        patience: steps without progress after which the scripted operator takes over, until the task is done.
        help_probability: probability that the scripted operator helps in the first episode.
        min_help_fraction: fraction of help_probability that remains in late episodes.
        help_decay_episodes: number of episodes over which the probability would fall to zero.
        ask: the policy asks for help when an episode lasts longer than those that succeed. The scripted operator then
            helps when it is asked, and only then, until the task is done.
    """

    device: Annotated[str, tyro.conf.arg(aliases=("--operator",))] = SCRIPTED
    intervention: Literal["toggle", "stay", "hold", "auto"] | None = None
    reaction_delay: int = 3
    motion_noise: float = 0.1
    patience: int = 10
    help_probability: float = 1.0
    min_help_fraction: float = 0.05
    help_decay_episodes: int = 60
    ask: Annotated[bool, tyro.conf.arg(aliases=("--ask",))] = False

    def __post_init__(self) -> None:
        require(self, "more than 0", ("help_decay_episodes", "patience"), lambda value: value > 0)
        require(self, "0 or more", ("reaction_delay", "motion_noise"), lambda value: value >= 0)
        fractions = ("help_probability", "min_help_fraction")
        require(self, "a number in [0, 1]", fractions, lambda value: 0 <= value <= 1)
