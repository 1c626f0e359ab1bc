"""Settings of the algorithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gym_hil.errors import require


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
        require(self, "more than 0", (*counts, "learning_rate", "temperature"), lambda value: value > 0)
        require(self, "a number in (0, 1]", ("discount", "tau"), lambda value: 0 < value <= 1)
        require(self, "0 or more", ("imitation", "auxiliary", "shift", "attention_heads"), lambda value: value >= 0)
        require(self, f"at most critics, {self.critics}", ("target_critics",), lambda value: value <= self.critics)


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
        gripper: "discrete": open, stay or close; the gripper's number of the action is rounded. "continuous": it is
            not.
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
        require(self, "more than 0", (*counts, *sizes), lambda value: value > 0)
        require(self, "a number in (0, 1]", ("ema", "final_learning_rate"), lambda value: 0 < value <= 1)
        others = ("attention_heads", "weight_decay", "state_noise", "auxiliary", "shift")
        require(self, "0 or more", others, lambda value: value >= 0)
        fits = f"at most chunk_size, {self.chunk_size}"
        require(self, fits, ("n_action_steps",), lambda value: value <= self.chunk_size)


@dataclass(frozen=True)
class ACFQLConfig(BCConfig):
    """Settings of Q-learning with action chunks: those of imitation by chunks, and these.

    Attributes:
        utd_ratio: critic updates for each step (update-to-data ratio); the flow has one.
        final_learning_rate: learning rate after the offline steps, and of an imitated policy to start from, as a
            fraction of the first.
        batch_size: windows in a batch, half of them from the demonstration buffer.
        buffer_capacity: size of each replay buffer, in transitions.
        offline_critic_steps: the last of the offline steps, in which critics and residual learn, too. Before, only the
            flow learns. With more of these steps the critics overfit to the few actions of the operator.
        critic_learning_rate: learning rate of the critics.
        alpha: weight of the squared residual during the offline steps; more keeps the policy nearer to what the
            operator does. Critics that have seen only what the operator does are wrong about the rest.
        online_alpha: the same once the policy has acted for a while and critics have seen what comes of it.
        normalize_q_loss: divide the critics' values by their mean in the policy's loss.
        critics: number of critics in the ensemble.
        q_agg: "mean" or "min" of the critics is what a chunk is worth, to their targets and to the policy.
        discount: discount factor of one step.
        tau: step size of the polyak update of the target critics.
        mixed_windows: critics also learn from windows of which the policy and the operator made a part each.
    """

    utd_ratio: int = 2
    final_learning_rate: float = 0.1
    offline_critic_steps: int = 500
    critic_learning_rate: float = 3e-4
    alpha: float = 10.0
    online_alpha: float = 1.0
    normalize_q_loss: bool = False
    critics: int = 4
    q_agg: Literal["mean", "min"] = "min"
    discount: float = 0.97
    tau: float = 0.005
    mixed_windows: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "more than 0", ("critics", "critic_learning_rate"), lambda value: value > 0)
        require(self, "a number in (0, 1]", ("discount", "tau"), lambda value: 0 < value <= 1)
        require(self, "0 or more", ("offline_critic_steps",), lambda value: value >= 0)
        require(self, "more than 0", ("alpha", "online_alpha"), lambda value: value > 0)
