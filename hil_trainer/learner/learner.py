"""The learner: networks and replay buffers, and the one loop in which it learns, whatever carries its messages."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy import PolicyShape, Weights
from hil_trainer.agents.sac import SAC, policy_shape
from hil_trainer.checkpoints import CheckpointWriter, read_learner_state
from hil_trainer.config import LOCAL, TrainConfig
from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.replay_buffer import ReplayBuffer, concatenate
from hil_trainer.data.transitions import Batch, Rollout
from hil_trainer.errors import CheckpointError, DivergenceError

MIN_ONLINE = 100  # transitions in the online buffer, below which batches come from the demonstration buffer alone
MAX_DEBT = 100  # steps; updates that are owed for more steps are skipped
PUBLISH_EVERY = 10  # steps of updates, while more are owed
_MAX_THREADS = 4  # unless the configuration says otherwise; batches are small
_CHECK_EVERY = 50  # updates between two checks that losses are finite


class LearnerSetup(NamedTuple):
    """All that a learner needs to know.

    Attributes:
        config: of the run.
        layout: of the observations.
        actions: size of an action.
    """

    config: TrainConfig
    layout: ObservationLayout
    actions: int

    @property
    def shape(self) -> PolicyShape:
        """Of the policy that is learned."""
        return policy_shape(self.layout, self.actions, self.config.agent)


class Learner:
    """Networks, optimizers and both replay buffers.

    Rollouts go to the online buffer and demonstrations to the demonstration buffer; the steps of a rollout in which an
    operator acted go to both. Half of each batch comes from either (RLPD's symmetric sampling).

    Args:
        setup: configuration, layout and action.

    Attributes:
        updates: of the critics so far.
    """

    def __init__(self, setup: LearnerSetup):
        config, layout, actions = setup
        self.config = config
        device = find_device(config.device)
        torch.manual_seed(config.seed)
        if device.type == "cpu":
            torch.set_num_threads(find_threads(config))
        mixed = uses_mixed_precision(config.mixed_precision, device)
        self.sac = SAC(layout, actions, config.agent, device=device, mixed_precision=mixed)
        self._update = torch.compile(self.sac.update) if config.compile else self.sac.update
        self.online_buffer, self.demo_buffer = (
            ReplayBuffer(layout, actions, config.agent.buffer_capacity, device=device, seed=2 * config.seed + number)
            for number in range(2)
        )
        self.updates = 0
        self._metrics: dict[str, torch.Tensor] = {}

    @property
    def buffers(self) -> dict[str, ReplayBuffer]:
        """Both replay buffers, by name."""
        return {"online": self.online_buffer, "demo": self.demo_buffer}

    def add(self, rollout: Rollout) -> None:
        """Store the transitions of a rollout."""
        if rollout.demonstration:
            self.demo_buffer.add(rollout.transitions)
        else:
            self.online_buffer.add(rollout.transitions)
            self.demo_buffer.add(rollout.transitions.interventions())

    def learn(self, steps: int) -> None:
        """Make the updates of some environment steps: `utd_ratio` of the critics and one of the policy for each.

        Raises:
            DivergenceError: a loss is not finite.
        """
        if not len(self.online_buffer) and not len(self.demo_buffer):
            return
        utd_ratio = self.config.agent.utd_ratio
        for _ in range(steps):
            batch = self.sample(utd_ratio * self.config.agent.batch_size)
            self._metrics = self._update(batch, critic_updates=utd_ratio)
            before, self.updates = self.updates, self.updates + utd_ratio
            if before // _CHECK_EVERY != self.updates // _CHECK_EVERY:
                self.metrics()

    def sample(self, size: int) -> Batch:
        """Draw a batch, half of it from the demonstration buffer."""
        if not len(self.demo_buffer):
            return self.online_buffer.sample(size)
        if len(self.online_buffer) < MIN_ONLINE:
            return self.demo_buffer.sample(size)
        return concatenate(self.online_buffer.sample(size // 2), self.demo_buffer.sample(size - size // 2))

    def metrics(self) -> dict[str, float]:
        """The newest losses and values.

        Raises:
            DivergenceError: one is not finite.
        """
        metrics = {name: float(value) for name, value in self._metrics.items()}
        wrong = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if wrong:
            raise self._diverged(", ".join(wrong))
        return metrics

    def weights(self) -> Weights:
        """A copy of the policy's weights.

        Raises:
            DivergenceError: they are not finite.
        """
        weights = {name: value.cpu().numpy().copy() for name, value in self.sac.policy.state_dict().items()}
        for name, value in weights.items():
            if not np.isfinite(value).all():
                raise self._diverged(f"the policy's {name} is not finite")
        return weights

    def state_dict(self) -> dict[str, Any]:
        """A copy on the CPU of all that learning goes on from, except the transitions.

        Raises:
            DivergenceError: something in it is not finite, and learning could not go on from it.
        """
        self.metrics()
        state = {"sac": self.sac.state_dict(), "updates": self.updates}
        for name, value in _tensors(state):
            if not bool(torch.isfinite(value).all()):
                raise self._diverged(f"{name.removeprefix('sac.')} is not finite")
        state["buffers"] = {name: buffer.state_dict() for name, buffer in self.buffers.items()}
        state["torch"] = torch.get_rng_state()
        state["cuda"] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return _copied(state)

    def load_state_dict(self, state: dict[str, Any], segments: Mapping[str, Iterable[dict[str, Any]]]) -> None:
        """Restore a checkpoint.

        Args:
            state: from `state_dict`.
            segments: the transitions of each buffer, see `ReplayBuffer.segment`.

        Raises:
            CheckpointError: it belongs to other observations, actions or networks, or is damaged.
        """
        try:
            self.sac.load_state_dict(state["sac"])
            for name, buffer in self.buffers.items():
                buffer.load_state_dict(state["buffers"][name], segments.get(name, ()))
        except CheckpointError:
            raise
        except (RuntimeError, KeyError, ValueError, AttributeError) as error:
            raise CheckpointError(
                "The checkpoint does not fit the settings; --task, --obs, --image-size, --privileged and the networks' "
                f"--agent settings must be those that the run began with: {error}."
            ) from error
        self.updates = state["updates"]
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda"]])

    def _diverged(self, why: str) -> DivergenceError:
        return DivergenceError(
            f"After {self.updates} updates {why}. The last checkpoint is from before. Lower --agent.learning-rate, or "
            "switch --mixed-precision off, and resume."
        )


class Snapshot(NamedTuple):
    """The state of the learner that others see.

    Attributes:
        rollouts: that it has learned from.
        env_steps: in them, without demonstrations.
        updates: of the critics.
        weights: of the policy.
        metrics: the newest losses and values.
    """

    rollouts: int
    env_steps: int
    updates: int
    weights: Weights
    metrics: dict[str, float]


class SaveRequest(NamedTuple):
    """Message that asks for a checkpoint.

    Attributes:
        step: of training.
        run: all state but the learner's, as JSON.
    """

    step: int
    run: dict[str, Any]


class StopRequest(NamedTuple):
    """Message that ends the loop."""


Message = Rollout | SaveRequest | StopRequest


class LearnerLoop:
    """Receives rollouts, learns from them, publishes the policy, and writes checkpoints.

    Each environment step is an update that is owed. In lockstep, all updates of a rollout are made before the next
    message is received, so that the same seed learns the same. Otherwise all waiting messages are taken first, and
    updates that are owed for more than `max_debt` steps are skipped.

    Args:
        setup: configuration, layout and action.
        directory: of the run.
        lockstep: see above.
        max_debt: steps.
        checkpoint: to go on from.
        env_steps: of the checkpoint.

    Attributes:
        debt: steps whose updates are owed.
        env_steps: received so far.
        saved: checkpoints that are on disk.
    """

    def __init__(
        self,
        setup: LearnerSetup,
        directory: Path,
        *,
        lockstep: bool,
        max_debt: int = MAX_DEBT,
        checkpoint: Path | None = None,
        env_steps: int = 0,
    ):
        self.learner = Learner(setup)
        self._writer = CheckpointWriter(directory, checkpoint)
        if checkpoint is not None:
            self.learner.load_state_dict(*read_learner_state(checkpoint))
        self._lockstep, self._max_debt = lockstep, max_debt
        self.env_steps, self.debt = env_steps, 0
        self._rollouts = self._unpublished = 0

    @property
    def saved(self) -> int:
        """Number of checkpoints that were written."""
        return self._writer.finished

    def run(self, receive: Callable[[bool], Message | None], publish: Callable[[Snapshot], None]) -> None:
        """Learn until a `StopRequest` is received and the checkpoints are written.

        Args:
            receive: returns the next message. If it is given False and there is none, it returns None at once.
            publish: called with a snapshot at the start, and when there is a new one.

        Raises:
            DivergenceError: a loss is not finite.
            CheckpointError: a checkpoint cannot be written.
        """
        publish(self.snapshot())
        while not isinstance(message := receive(self.debt == 0), StopRequest):
            if isinstance(message, Rollout):
                self._add(message)
            elif isinstance(message, SaveRequest):
                self._save(message)
            if self.debt and (message is None or self._lockstep):
                self._learn(self.debt if self._lockstep else 1)
            self._writer.raise_failure()
            updated = self._unpublished and (not self.debt or self._unpublished >= PUBLISH_EVERY)
            if updated or (isinstance(message, Rollout) and not self.debt):
                publish(self.snapshot())
        self._writer.wait()

    def snapshot(self) -> Snapshot:
        """The state of the learner.

        Raises:
            DivergenceError: a loss or a weight is not finite.
        """
        self._unpublished = 0
        metrics = self.learner.metrics()  # first, because a loss says more than what it did to the weights
        learned = self.env_steps - self.debt
        return Snapshot(self._rollouts, learned, self.learner.updates, self.learner.weights(), metrics)

    def _add(self, rollout: Rollout) -> None:
        self.learner.add(rollout)
        self._rollouts += 1
        if not rollout.demonstration:
            self.env_steps += rollout.steps
            self.debt += rollout.steps
            if not self._lockstep:
                self.debt = min(self.debt, self._max_debt)

    def _learn(self, steps: int) -> None:
        self.learner.learn(steps)
        self.debt -= steps
        self._unpublished += steps

    def _save(self, request: SaveRequest) -> None:
        buffers = self.learner.buffers
        segments = {name: buffer.segment(self._writer.next_transition(name)) for name, buffer in buffers.items()}
        stored = {name: buffer.added - len(buffer) for name, buffer in buffers.items()}
        self._writer.save(request.step, self.learner.state_dict(), segments, stored, request.run)


def _tensors(state: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors in nested dicts, with their names."""
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


def _copied(state: Any) -> Any:
    """Nested dicts and lists with copies of all tensors, on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone().cpu()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state


def find_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one.

    Raises:
        ConfigurationError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"device is {name!r}; expected auto, cpu, cuda, cuda:1, ...") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"device is {name!r}, but torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices here. "
            "Choose --device cpu, or install a driver and a build of torch with CUDA."
        )
    return device


def find_threads(config: TrainConfig) -> int:
    """How many threads a learner on a CPU takes: one for each core that does not act or evaluate, and at least one.

    Threads of one computation wait for each other. On two cores, two threads are 1.3 times (state) and 1.8 times
    (pixels) as fast as one, but where one of the cores has something else to do they take two to three times as long.
    """
    if config.threads is not None:
        return config.threads
    # In a container, or on a shared server, not all cores are for this process.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    actors = config.ray.actors if config.ray.address == LOCAL else 1
    return max(1, min(_MAX_THREADS, cores - actors - 1))


def uses_mixed_precision(choice: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: where the processor has instructions for it, it takes half the time."""
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return "avx512_bf16" in _processor_flags()


def _processor_flags() -> str:
    """The processor's flags, as a Linux kernel lists them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return ""
