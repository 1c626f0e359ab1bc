"""All settings of a training run: typed, in groups; `hil_trainer.config.defaults` has those that suit a task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import tyro

from gym_hil.errors import ConfigurationError, require
from gym_hil.teleop.operator import OperatorOptions
from hil_trainer.config.algorithms import ACFQLConfig, BCConfig, SACConfig
from hil_trainer.config.env import ENV_OPTIONS, NO_OPERATOR, SCRIPTED, EnvConfig, OperatorConfig

__all__ = [
    "CONFIG_FILE",
    "ENV_OPTIONS",
    "LOCAL",
    "NO_OPERATOR",
    "SCRIPTED",
    "ACFQLConfig",
    "BCConfig",
    "EnvConfig",
    "EvaluationConfig",
    "OperatorConfig",
    "RayConfig",
    "SACConfig",
    "TrainConfig",
    "read_config",
    "to_dict",
]

CONFIG_FILE = "config.json"
_GONE = {"policy", "samples"}  # settings of acfql before 0.1.25, which are in the file of every run of then
LOCAL = "local"  # a Ray that is started on this machine


@dataclass(frozen=True)
class EvaluationConfig:
    """When the policy is evaluated, and when it is good enough.

    Attributes:
        every: environment steps between two evaluations.
        quick_episodes: episodes of an evaluation that only shows progress.
        episodes: episodes of a full evaluation; it follows a quick one that comes near the target.
        seed: seed of the first evaluation episode; the others count up from it.
        target: success rate of a full evaluation at which the training ends. Policies that reach it are compared by
            how quick they are.
        target_length: mean steps of a full evaluation's episodes that have to be reached, too, before the training
            ends; if not given, success is enough.
        num_envs: episodes that run at a time; if not given, the num_envs of the training.
    """

    every: int = 250
    quick_episodes: int = 20
    episodes: int = 100
    seed: int = 10_000
    target: Annotated[float, tyro.conf.arg(aliases=("--target",))] = 0.99
    target_length: float | None = None
    num_envs: int | None = None

    def __post_init__(self) -> None:
        counts = ("every", "quick_episodes", "episodes", "num_envs")
        require(self, "more than 0", counts, lambda value: value is None or value > 0)
        require(self, "0 or more", ("seed",), lambda value: value >= 0)
        require(self, "a success rate in (0, 1]", ("target",), lambda value: 0 < value <= 1)


@dataclass(frozen=True)
class RayConfig:
    """Several actors and one learner on Ray.

    Attributes:
        address: "local", or --ray alone, starts Ray on this machine; "auto" or host:port is a Ray that runs already. If
            not given, Ray is not used.
        actors: number of actors. With a human operator, the process that was started is one more.
        helped_actors: how many of the actors the scripted operator helps; all of them if it is the operator.
        wait: actors wait while the learner is behind. If not, updates are skipped.
    """

    address: Annotated[str | None, tyro.conf.arg(aliases=("--ray",))] = None
    actors: Annotated[int, tyro.conf.arg(aliases=("--actors",))] = 2
    helped_actors: int | None = None
    wait: bool = True

    def __post_init__(self) -> None:
        require(self, "more than 0", ("actors",), lambda value: value > 0)
        fits = f"at most actors, {self.actors}"
        require(self, fits, ("helped_actors",), lambda value: value is None or 0 <= value <= self.actors)


class Returns(TypedDict):
    """Discount factor of one step, and steps over which rewards are summed."""

    discount: float
    n_step: int


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Attributes:
        demos: number of episodes that the operator demonstrates first, or the folder of a recorded dataset.
        algorithm: sac, soft actor-critic with demonstrations; bc, imitation by chunks (behaviour cloning) of what the
            operator demonstrates and corrects; or acfql, Q-learning with action chunks that starts as imitation. If not
            given, bc for the tasks of gym_hil; but sac with --ray, with --demos 0, without an operator unless steps is
            0, and for PickCube from images without a pretrained encoder; and sac for other environments.
        init: policy, directory of a run, or name that `hil-trainer policies` lists, of imitation by chunks, whose
            weights bc and acfql start from.
        offline_steps: steps of learning from the demonstrations before the policy acts, each with the updates of an
            environment step. They count as steps of training.
        online_steps_before_learning: environment steps before learning goes on with what they bring.
        steps: maximum number of environment steps; demonstrations and evaluations do not count. 0 learns from the
            demonstrations alone.
        seed: seed of all random numbers.
        rollout_steps: environment steps between two messages to the learner. The policy's weights are at most two
            messages old.
        num_envs: environments in which the policy acts at a time, in threads of one process; on Ray in each actor. A
            human drives only one.
        device: device of the learner: auto, cpu, cuda, cuda:1, ...
        mixed_precision: compute hidden layers in bfloat16: on, off, or auto for where that is faster.
        compile: compile the update with torch.compile; takes about a minute at the start.
        threads: threads of the learner on a CPU; if not given, one for each core but two, and at most four.
        checkpoint_seconds: seconds between two checkpoints.
        tensorboard: write event files for TensorBoard.
        wandb: name of the Weights & Biases project to log to.
        env: the task.
        operator: the operator.
        agent: soft actor-critic.
        bc: imitation by chunks.
        acfql: Q-learning with action chunks.
        evaluation: the evaluations.
        ray: several actors.
    """

    demos: str = "20"
    algorithm: Literal["sac", "bc", "acfql"] = "sac"
    init: Path | None = None
    offline_steps: int = 0
    online_steps_before_learning: int = 0
    steps: int = 20_000
    seed: int = 0
    rollout_steps: int = 10
    num_envs: int = 1
    device: str = "auto"
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    compile: bool = False
    threads: int | None = None
    checkpoint_seconds: float = 60.0
    tensorboard: bool = True
    wandb: str | None = None
    env: tyro.conf.OmitArgPrefixes[EnvConfig] = field(default_factory=EnvConfig)
    operator: OperatorConfig = field(default_factory=OperatorConfig)
    agent: SACConfig = field(default_factory=SACConfig)
    bc: BCConfig = field(default_factory=BCConfig)
    acfql: ACFQLConfig = field(default_factory=ACFQLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        counts = ("seed", "offline_steps", "online_steps_before_learning")
        require(self, "0 or more", counts, lambda value: value >= 0)
        positive = ("rollout_steps", "num_envs", "checkpoint_seconds", "threads")
        require(self, "more than 0", positive, lambda value: value is None or value > 0)
        least = "0 or more with offline_steps, else more than 0"
        require(self, least, ("steps",), lambda value: value > 0 or (value == 0 and self.offline_steps > 0))
        if self.operator.device != NO_OPERATOR:
            OperatorOptions(device=self.operator.device).check()
        for problem in self._contradictions():
            raise ConfigurationError(problem)

    def _contradictions(self) -> Iterator[str]:
        """What does not go together."""
        operator, has_operator = self.operator.device, self.operator.device != NO_OPERATOR
        if self.ray.helped_actors and operator != SCRIPTED:
            yield (
                f"helped_actors is {self.ray.helped_actors}, but the operator is {operator}; only the scripted "
                "operator can help several actors."
            )
        if self.demo_episodes and not has_operator:
            yield (
                f"demos is {self.demos}, but without an operator there are no demonstrations; give --demos 0, or a "
                "dataset."
            )
        if self.offline_steps and not self.demo_episodes and self.demo_dataset is None:
            yield (
                f"offline_steps is {self.offline_steps}, but there are no demonstrations to learn from; give --demos a "
                "number of episodes or a dataset."
            )
        if self.ray.address is not None and (self.algorithm != "sac" or self.offline_steps):
            yield (
                f"algorithm is {self.algorithm} and offline_steps is {self.offline_steps}; with --ray they have to be "
                "sac and 0."
            )
        if self.operator.ask and not has_operator:
            yield "ask is on, but there is no operator to ask; give an --operator, or leave it out."
        if self.operator.ask and self.demos == "0":
            yield (
                "ask is on, but demos is 0, and how long a successful episode lasts is known from demonstrations; give "
                "--demos a number of episodes or a dataset."
            )
        if self.operator.ask and self.ray.address is not None:
            yield "ask is on, which actors on Ray cannot do; leave out --ray or --ask."
        if self.init is not None and self.algorithm == "sac":
            yield (
                f"init is {self.init}, but the algorithm is sac, which cannot start from a policy; give --algorithm "
                "acfql or bc."
            )
        if self.compile and self.algorithm != "sac":
            yield f"compile is not there for the algorithm {self.algorithm}; leave it out, or give --algorithm sac."
        if self.algorithm == "bc" and self.online_steps_before_learning:
            yield (
                f"online_steps_before_learning is {self.online_steps_before_learning}, but the algorithm bc learns "
                "from no steps of the policy; leave it out, or give --algorithm sac or acfql."
            )
        if self.algorithm == "bc" and not has_operator and self.steps:
            yield (
                f"steps is {self.steps}, but there is no operator from whose corrections to learn; give --steps 0, or "
                "an --operator."
            )

    @property
    def group(self) -> str:
        """Name of the group with the settings of the algorithm."""
        return "agent" if self.algorithm == "sac" else self.algorithm

    @property
    def learning(self) -> SACConfig | BCConfig:
        """The settings of the algorithm."""
        return getattr(self, self.group)

    @property
    def chunk_size(self) -> int:
        """Steps of the windows that the algorithm learns from; 1 if it learns from transitions."""
        return 1 if isinstance(self.learning, SACConfig) else self.learning.chunk_size

    @property
    def returns(self) -> Returns:
        """How the rewards of a transition are summed."""
        if self.algorithm == "acfql":
            return {"discount": self.acfql.discount, "n_step": 1}  # those of a chunk are summed when it is drawn
        return {"discount": self.agent.discount, "n_step": self.agent.n_step}

    @property
    def evaluation_envs(self) -> int:
        """How many episodes of an evaluation run at a time."""
        return min(self.evaluation.num_envs or self.num_envs, self.evaluation.episodes)

    @property
    def image_size(self) -> int:
        """Height and width of the observed images, in pixels."""
        return self.env.image_size if self.env.encoder is None else self.env.encoder_size

    @property
    def demo_episodes(self) -> int:
        """How many episodes the operator demonstrates first; 0 if demonstrations come from a dataset."""
        return int(self.demos) if self.demos.isdigit() else 0

    @property
    def demo_dataset(self) -> Path | None:
        """The dataset that demonstrations come from."""
        return None if self.demos.isdigit() else Path(self.demos)


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON values, nested by group."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))  # a path is a string


def read_config(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Args:
        path: a JSON file; settings that are not in it keep their defaults.

    Raises:
        ConfigurationError: the file cannot be read, is not a JSON object, or is of a run of acfql before 0.1.25.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as settings: {error}.") from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds {type(settings).__name__}; expected an object of settings.")
    group = settings.get("acfql")
    group = group if isinstance(group, dict) else {}
    gone = _GONE & group.keys()
    if gone and settings.get("algorithm") == "acfql":
        raise ConfigurationError(
            f"{path} has {' and '.join(sorted(gone))} of acfql, which learns another policy since 0.1.25. Train again; "
            "gym-hil before 0.1.25 resumes this run."
        )
    for name in gone:
        del group[name]
    return settings
