"""Everything that can be set about a run: typed, with defaults that learn."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.operator import OperatorOptions
from hil_trainer.agents.sac import SACConfig

CONFIG_FILE = "config.json"
NOBODY, SCRIPTED = "none", "scripted"
LOCAL = "local"  # Ray, started on this machine


@dataclass(frozen=True)
class ScriptedOperatorConfig:
    """How the scripted operator helps: where the policy gets no further, in many episodes at first and in few later.

    Attributes:
        reaction_delay: steps between seeing and acting.
        motion_noise: tremor of the hand, as a fraction of full speed.
        patience: steps without progress after which the operator takes over, until the task is done.
        attention: the chance that the operator watches the first episode; who does not watch does not help.
        attention_least: the chance that remains later on.
        attention_episodes: over how many episodes it would fall from 1 to 0.
    """

    reaction_delay: int = 3
    motion_noise: float = 0.1
    patience: int = 10
    attention: float = 1.0
    attention_least: float = 0.05
    attention_episodes: int = 60

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _require(self, "more than 0", ("attention_episodes", "patience"), lambda value: value > 0)
        _require(self, "0 or more", ("reaction_delay", "motion_noise"), lambda value: value >= 0)
        _require(self, "a chance in [0, 1]", ("attention", "attention_least"), lambda value: 0 <= value <= 1)


@dataclass(frozen=True)
class TrainConfig:
    """What to train, with whom, and how.

    Attributes:
        task: such as PandaPickCube-v1; without version the newest.
        obs: "state": numbers only. "pixels": two views and what the robot knows of itself.
        operator: who may take over: a device, several with commas, auto or none; docs/devices.md lists the devices.
        demos: a recorded dataset's folder, or how many episodes the operator shows first.
        seed: of everything that is drawn.
        steps: the most that are trained; demonstrations and evaluations do not count.
        target: success rate in an evaluation at which training is done.
        privileged: with pixels, whether the critics may see what only the simulation knows. The policy never does.
        reward: "sparse": 1 on success. "dense": also for what is nearly done.
        reward_classifier: a trained classifier that says what success is, instead of the simulation.
        image_size: pixels a side of the views that the policy sees.
        encoder: with pixels, a trained encoder of the views that stays as it is: imagenet, a file *.pt2 of
            torch.export.save, or package.module:function that returns a torch.nn.Module. If not given, one is learned.
        encoder_size: pixels a side of the views that this encoder sees.
        intervention: when a human operator drives: toggle, hold or auto; the device's own if not given.
        real_time: hold the environment to real time. By itself where a human drives.
        console: show the training on the web console.
        updates_per_step: of the critics, for each step of the environment.
        batch: transitions of an update, half of them an operator's.
        capacity: transitions that are kept, of what happened and of what an operator did each.
        chunk: steps between two deliveries to the learner. Actions come from weights at most two deliveries old.
        evaluate_every: steps between evaluations.
        quick_episodes: of an evaluation to see how it goes.
        full_episodes: of one that decides; it follows a quick one that comes near the target.
        evaluation_seed: of the first episode of evaluations; the others count on from there.
        checkpoint_seconds: between two checkpoints.
        device: to learn on: auto, cpu, cuda, cuda:1, ...
        mixed_precision: compute in bfloat16 where that is quicker: auto, on or off.
        compile: compile the update with torch.compile. It takes a minute to begin with.
        threads: of the learner on a CPU; if not given, one for each core but two, which are for acting and evaluating,
            and at most four.
        tensorboard: write events for TensorBoard.
        wandb: project of Weights & Biases to report to.
        ray: with the learner and actors on Ray. "local", or nothing more, starts it on this machine; "auto" or
            host:port is one that runs.
        actors: on Ray. With a human operator, this machine is one more.
        helped_actors: of the actors on Ray, those that the scripted operator helps; all if it is the operator.
        actors_wait: on Ray, while the learner is behind. Otherwise it leaves out updates, and steps come as fast as
            they go.
        sac: how SAC learns.
        scripted: how the scripted operator helps.
    """

    task: str = "PandaPickCube-v1"
    obs: Literal["state", "pixels"] = "state"
    operator: str = SCRIPTED
    demos: str = "20"
    seed: int = 0
    steps: int = 20_000
    target: float = 0.99
    privileged: bool = True
    reward: Literal["sparse", "dense"] = "sparse"
    reward_classifier: Path | None = None
    image_size: int = 64
    encoder: str | None = None
    encoder_size: int = 128
    intervention: Literal["toggle", "hold", "auto"] | None = None
    real_time: bool | None = None
    console: bool = False
    updates_per_step: int = 4
    batch: int = 256
    capacity: int = 100_000
    chunk: int = 10
    evaluate_every: int = 250
    quick_episodes: int = 20
    full_episodes: int = 100
    evaluation_seed: int = 10_000
    checkpoint_seconds: float = 60.0
    device: str = "auto"
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    compile: bool = False
    threads: int | None = None
    tensorboard: bool = True
    wandb: str | None = None
    ray: str | None = None
    actors: int = 2
    helped_actors: int | None = None
    actors_wait: bool = True
    sac: SACConfig = field(default_factory=SACConfig)
    scripted: ScriptedOperatorConfig = field(default_factory=ScriptedOperatorConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        counts = ("steps", "image_size", "encoder_size", "updates_per_step", "batch", "capacity", "chunk", "actors")
        _require(self, "more than 0", counts, lambda value: value > 0)
        times = ("evaluate_every", "quick_episodes", "full_episodes", "checkpoint_seconds")
        _require(self, "more than 0", times, lambda value: value > 0)
        _require(self, "a multiple of 4", ("image_size",), lambda value: value % 4 == 0)
        _require(self, "a success rate in (0, 1]", ("target",), lambda value: 0 < value <= 1)
        _require(self, "0 or more", ("seed", "evaluation_seed"), lambda value: value >= 0)
        if self.encoder is not None and self.obs != "pixels":
            raise ConfigurationError(
                f"encoder is {self.encoder}, but obs is {self.obs}; an encoder is for images: --obs pixels."
            )
        sac = self.sac
        sizes = ("critics", "target_critics", "width", "n_step", "learning_rate", "temperature")
        _require(sac, "more than 0", sizes, lambda value: value > 0)
        _require(sac, "a number in (0, 1]", ("discount", "target_rate"), lambda value: 0 < value <= 1)
        _require(sac, "0 or more", ("imitation", "auxiliary", "shift", "attention_heads"), lambda value: value >= 0)
        _require(sac, f"at most critics, {sac.critics}", ("target_critics",), lambda value: value <= sac.critics)
        if self.threads is not None:
            _require(self, "more than 0", ("threads",), lambda value: value > 0)
        if self.helped_actors is not None:
            fits = f"at most actors, {self.actors}"
            _require(self, fits, ("helped_actors",), lambda value: 0 <= value <= self.actors)
            if self.helped_actors and self.operator != SCRIPTED:
                raise ConfigurationError(
                    f"helped_actors is {self.helped_actors}, but the operator is {self.operator}; only the scripted "
                    "operator can be in several places."
                )
        if self.operator != NOBODY:
            OperatorOptions(device=self.operator).check()
        if self.demo_episodes and self.operator == NOBODY:
            raise ConfigurationError(
                f"demos is {self.demos}, but with operator {NOBODY} nobody can show them; give demos 0, or a dataset."
            )

    @property
    def demo_episodes(self) -> int:
        """How many episodes the operator shows first; 0 if they come from a dataset."""
        return int(self.demos) if self.demos.isdigit() else 0

    @property
    def demo_dataset(self) -> Path | None:
        """The dataset that demonstrations come from."""
        return None if self.demos.isdigit() else Path(self.demos)


def _require(settings: Any, expected: str, names: tuple[str, ...], fits: Callable[[Any], bool]) -> None:
    for name in names:
        value = getattr(settings, name)
        if not fits(value):
            raise ConfigurationError(f"{name} is {value!r}; expected {expected}.")


def defaults(task: str, obs: str) -> TrainConfig:
    """The settings that suit a task.

    Args:
        task: see `TrainConfig`.
        obs: see `TrainConfig`.
    """
    config = TrainConfig(task=task)
    if "arrangeboxes" in task.lower():
        # A reward that follows some 260 steps later says little; what an operator does says much.
        sac = dataclasses.replace(
            config.sac,
            width=256,
            discount=0.99,
            n_step=3,
            imitation=100.0,
            policy_learning_rate=1e-3,
            attention_heads=2,
        )
        scripted = dataclasses.replace(config.scripted, attention_episodes=200)
        config = dataclasses.replace(
            config, demos="60", steps=100_000, sac=sac, scripted=scripted, updates_per_step=2, evaluate_every=2_000
        )
    if obs == "pixels":
        sac = dataclasses.replace(config.sac, width=256, policy_learning_rate=5e-4, target_rate=0.01)
        config = dataclasses.replace(
            config,
            obs="pixels",
            sac=sac,
            updates_per_step=2,
            batch=128,
            capacity=20_000,
            evaluate_every=500,
            target=0.95,
        )
    return config


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON has it."""
    plain = dataclasses.asdict(config)
    plain["reward_classifier"] = None if config.reward_classifier is None else str(config.reward_classifier)
    return plain


def read_config(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Args:
        path: a JSON file; fields that are not named keep their defaults.

    Raises:
        ConfigurationError: the file cannot be read or is no JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as settings: {error}.") from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds {type(settings).__name__}; expected an object of settings.")
    return settings
