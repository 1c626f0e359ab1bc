"""All settings of a training run: typed, in groups, with defaults that learn."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.operator import OperatorOptions

CONFIG_FILE = "config.json"
NO_OPERATOR, SCRIPTED = "none", "scripted"
# Settings of the environment that a policy is evaluated with.
ENV_OPTIONS = ("reward", "env_kwargs", "action_map", "max_episode_steps", "success", "fps")
LOCAL = "local"  # a Ray that is started on this machine


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
        reward_classifier: folder of a trained reward classifier that replaces the simulation's success.
        image_size: height and width of the images that the policy sees, in pixels.
        encoder: with pixels, a pretrained image encoder that stays frozen: imagenet, or package.module:function that
            returns a torch.nn.Module. If not given, an encoder is learned.
        encoder_size: height and width of the images that the frozen encoder sees, in pixels.
        real_time: step the environment in real time; if not given, only with a human operator.
        console: show the training on the web console.
        env_kwargs: arguments of the environment, KEY=VALUE with a Python literal or else text as the value.
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
    reward_classifier: Path | None = None
    image_size: int = 64
    encoder: str | None = None
    encoder_size: int = 128
    real_time: bool | None = None
    console: bool = False
    env_kwargs: tuple[str, ...] = ()
    action_map: str | None = None
    max_episode_steps: int | None = None
    success: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        _require(self, "more than 0", ("image_size", "encoder_size"), lambda value: value > 0)
        _require(self, "a multiple of 4", ("image_size",), lambda value: value % 4 == 0)
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
        intervention: when a human operator drives: toggle, hold or auto; if not given, the device's own mode.
        reaction_delay: steps between what the scripted operator sees and its action.
        motion_noise: tremor of the scripted operator's hand, as a fraction of full speed.
        patience: steps without progress after which the scripted operator takes over, until the task is done.
        help_probability: probability that the scripted operator helps in the first episode.
        min_help_fraction: fraction of help_probability that remains in late episodes.
        help_decay_episodes: number of episodes over which the probability would fall to zero.
    """

    device: Annotated[str, tyro.conf.arg(aliases=("--operator",))] = SCRIPTED
    intervention: Literal["toggle", "hold", "auto"] | None = None
    reaction_delay: int = 3
    motion_noise: float = 0.1
    patience: int = 10
    help_probability: float = 1.0
    min_help_fraction: float = 0.05
    help_decay_episodes: int = 60

    def __post_init__(self) -> None:
        _require(self, "more than 0", ("help_decay_episodes", "patience"), lambda value: value > 0)
        _require(self, "0 or more", ("reaction_delay", "motion_noise"), lambda value: value >= 0)
        fractions = ("help_probability", "min_help_fraction")
        _require(self, "a number in [0, 1]", fractions, lambda value: 0 <= value <= 1)


@dataclass(frozen=True)
class SACConfig:
    """Settings of soft actor-critic and its replay buffers.

    Attributes:
        utd_ratio: critic updates for each environment step (update-to-data ratio).
        batch_size: transitions in a batch, half of them from the demonstration buffer.
        buffer_capacity: size of each replay buffer, in transitions.
        critics: number of critics in the ensemble.
        target_critics: size of the random subset of critics whose minimum is the target.
        width: units of each hidden layer.
        discount: discount factor of one step.
        n_step: steps over which rewards are summed before the target critics' value is added.
        tau: step size of the polyak update of the target critics.
        learning_rate: learning rate of the critics, of the temperature, and of the policy unless it has its own.
        policy_learning_rate: learning rate of the policy and the encoder that it trains; if not given, the other one.
        temperature: initial entropy temperature; it is learned.
        target_entropy: target entropy of the policy, in nats for each action dimension.
        gripper: "continuous": an action dimension like the others. "discrete": open, stay or close, chosen by a critic
            of its own that learns from the gripper penalty (HIL-SERL's grasp critic).
        imitation: weight of the imitation loss, the squared distance to an operator's actions.
        auxiliary: weight of the auxiliary loss, the prediction of simulation state from images.
        shift: maximum random shift of images, in pixels.
        attention_heads: heads of the policy's attention over objects in the state vector; 0 for no attention.
    """

    utd_ratio: int = 4
    batch_size: int = 256
    buffer_capacity: int = 100_000
    critics: int = 4
    target_critics: int = 2
    width: int = 128
    discount: float = 0.97
    n_step: int = 1
    tau: float = 0.005
    learning_rate: float = 3e-4
    policy_learning_rate: float | None = None
    temperature: float = 0.01
    target_entropy: float = -0.5
    gripper: Literal["continuous", "discrete"] = "continuous"
    imitation: float = 0.0
    auxiliary: float = 1.0
    shift: int = 2
    attention_heads: int = 0

    def __post_init__(self) -> None:
        counts = ("utd_ratio", "batch_size", "buffer_capacity", "critics", "target_critics", "width", "n_step")
        _require(self, "more than 0", (*counts, "learning_rate", "temperature"), lambda value: value > 0)
        _require(self, "a number in (0, 1]", ("discount", "tau"), lambda value: 0 < value <= 1)
        _require(self, "0 or more", ("imitation", "auxiliary", "shift", "attention_heads"), lambda value: value >= 0)
        _require(self, f"at most critics, {self.critics}", ("target_critics",), lambda value: value <= self.critics)


@dataclass(frozen=True)
class BCConfig:
    """Settings of imitation by chunks.

    Attributes:
        chunk_size: actions that the policy plans.
        n_action_steps: actions of a plan that are executed before the next plan.
        flow_steps: Euler steps from noise to a plan.
        utd_ratio: updates for each environment step, and for each offline step.
        batch_size: windows of the operator's steps in a batch.
        noise_samples: samples of the flow for each window of a batch; more where images make a window expensive.
        buffer_capacity: size of the demonstration buffer, in transitions.
        width: units of each hidden layer.
        attention_heads: heads of the policy's attention over objects in the state vector; 0 for no attention.
        learning_rate: learning rate at first. Over the offline steps it falls along a cosine.
        final_learning_rate: learning rate after the offline steps, as a fraction of the first.
        weight_decay: weight decay of AdamW.
        ema: step size of the moving average of the weights, which acts.
        state_noise: standard deviation of noise on the features of the state, which lie in about [-1, 1].
        gripper: "discrete": open, stay or close; the last number of the action is rounded. "continuous": it is not.
        auxiliary: weight of the auxiliary loss, the prediction of simulation state from images.
        shift: maximum random shift of images, in pixels.
        encoded_copies: copies of each image that a frozen encoder encodes, all but one of them shifted at random.
    """

    chunk_size: int = 8
    n_action_steps: int = 4
    flow_steps: int = 10
    utd_ratio: int = 1
    batch_size: int = 256
    noise_samples: int = 1
    buffer_capacity: int = 100_000
    width: int = 256
    attention_heads: int = 0
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.05
    weight_decay: float = 1e-3
    ema: float = 0.005
    state_noise: float = 0.02
    gripper: Literal["continuous", "discrete"] = "discrete"
    auxiliary: float = 1.0
    shift: int = 4
    encoded_copies: int = 4

    def __post_init__(self) -> None:
        counts = ("chunk_size", "n_action_steps", "flow_steps", "utd_ratio", "batch_size", "noise_samples")
        sizes = ("buffer_capacity", "width", "learning_rate", "encoded_copies")
        _require(self, "more than 0", (*counts, *sizes), lambda value: value > 0)
        _require(self, "a number in (0, 1]", ("ema", "final_learning_rate"), lambda value: 0 < value <= 1)
        others = ("attention_heads", "weight_decay", "state_noise", "auxiliary", "shift")
        _require(self, "0 or more", others, lambda value: value >= 0)
        fits = f"at most chunk_size, {self.chunk_size}"
        _require(self, fits, ("n_action_steps",), lambda value: value <= self.chunk_size)


@dataclass(frozen=True)
class EvaluationConfig:
    """When the policy is evaluated, and when it is good enough.

    Attributes:
        every: environment steps between two evaluations.
        quick_episodes: episodes of an evaluation that only shows progress.
        episodes: episodes of a full evaluation; it follows a quick one that comes near the target.
        seed: seed of the first evaluation episode; the others count up from it.
        target: success rate of a full evaluation at which the training ends.
    """

    every: int = 250
    quick_episodes: int = 20
    episodes: int = 100
    seed: int = 10_000
    target: Annotated[float, tyro.conf.arg(aliases=("--target",))] = 0.99

    def __post_init__(self) -> None:
        _require(self, "more than 0", ("every", "quick_episodes", "episodes"), lambda value: value > 0)
        _require(self, "0 or more", ("seed",), lambda value: value >= 0)
        _require(self, "a success rate in (0, 1]", ("target",), lambda value: 0 < value <= 1)


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
        _require(self, "more than 0", ("actors",), lambda value: value > 0)
        if self.helped_actors is not None:
            fits = f"at most actors, {self.actors}"
            _require(self, fits, ("helped_actors",), lambda value: 0 <= value <= self.actors)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Attributes:
        demos: number of episodes that the operator demonstrates first, or the folder of a recorded dataset.
        algorithm: sac, soft actor-critic with demonstrations; or bc, imitation by chunks (behaviour cloning) of what
            the operator demonstrates and corrects.
        offline_steps: steps of learning from the demonstrations before the policy acts, each with the updates of an
            environment step. They count as steps of training.
        steps: maximum number of environment steps; demonstrations and evaluations do not count. 0 learns from the
            demonstrations alone.
        seed: seed of all random numbers.
        rollout_steps: environment steps between two messages to the learner. The policy's weights are at most two
            messages old.
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
        evaluation: the evaluations.
        ray: several actors.
    """

    demos: str = "20"
    algorithm: Literal["sac", "bc"] = "sac"
    offline_steps: int = 0
    steps: int = 20_000
    seed: int = 0
    rollout_steps: int = 10
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
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        _require(self, "more than 0", ("rollout_steps", "checkpoint_seconds"), lambda value: value > 0)
        _require(self, "0 or more", ("seed", "offline_steps"), lambda value: value >= 0)
        least = "0 or more with offline_steps, else more than 0"
        _require(self, least, ("steps",), lambda value: value > 0 or (value == 0 and self.offline_steps > 0))
        if self.threads is not None:
            _require(self, "more than 0", ("threads",), lambda value: value > 0)
        operator = self.operator.device
        if self.ray.helped_actors and operator != SCRIPTED:
            raise ConfigurationError(
                f"helped_actors is {self.ray.helped_actors}, but the operator is {operator}; only the scripted "
                "operator can help several actors."
            )
        if operator != NO_OPERATOR:
            OperatorOptions(device=operator).check()
        if self.demo_episodes and operator == NO_OPERATOR:
            raise ConfigurationError(
                f"demos is {self.demos}, but without an operator there are no demonstrations; give --demos 0, or a "
                "dataset."
            )
        if self.offline_steps and not self.demo_episodes and self.demo_dataset is None:
            raise ConfigurationError(
                f"offline_steps is {self.offline_steps}, but there are no demonstrations to learn from; give --demos a "
                "number of episodes or a dataset."
            )
        if self.ray.address is not None and (self.algorithm == "bc" or self.offline_steps):
            raise ConfigurationError(
                f"algorithm is {self.algorithm} and offline_steps is {self.offline_steps}; with --ray they have to be "
                "sac and 0."
            )
        if self.algorithm == "bc":
            self._check_bc()

    def _check_bc(self) -> None:
        if self.operator.device == NO_OPERATOR and self.steps:
            raise ConfigurationError(
                f"steps is {self.steps}, but there is no operator from whose corrections to learn; give --steps 0, or "
                "an --operator."
            )
        if self.compile:
            raise ConfigurationError("compile is not there for the algorithm bc; leave out --compile.")

    @property
    def learning(self) -> SACConfig | BCConfig:
        """The settings of the algorithm."""
        return self.bc if self.algorithm == "bc" else self.agent

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


def _require(settings: Any, expected: str, names: tuple[str, ...], fits: Callable[[Any], bool]) -> None:
    for name in names:
        value = getattr(settings, name)
        if not fits(value):
            raise ConfigurationError(f"{name} is {value!r}; expected {expected}.")


def defaults(task: str, obs: str, algorithm: str = "sac") -> TrainConfig:
    """The settings that suit a task.

    Args:
        task: see `EnvConfig`.
        obs: see `EnvConfig`.
        algorithm: see `TrainConfig`.
    """
    config = _sac_defaults(task, obs)
    return _bc_defaults(config) if algorithm == "bc" else config


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
        # An operator who takes over drives the rest of a long episode.
        config = dataclasses.replace(config, operator=dataclasses.replace(config.operator, patience=40))
    if config.env.obs == "pixels":
        bc = dataclasses.replace(bc, batch_size=64, noise_samples=4, weight_decay=1e-2, buffer_capacity=20_000)
        demos = "35"
    return dataclasses.replace(config, algorithm="bc", demos=demos, offline_steps=offline_steps, bc=bc)


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON values, nested by group."""
    plain = dataclasses.asdict(config)
    classifier = config.env.reward_classifier
    plain["env"]["reward_classifier"] = None if classifier is None else str(classifier)
    return plain


def read_config(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Args:
        path: a JSON file; settings that are not in it keep their defaults.

    Raises:
        ConfigurationError: the file cannot be read or is not a JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as settings: {error}.") from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds {type(settings).__name__}; expected an object of settings.")
    return settings
