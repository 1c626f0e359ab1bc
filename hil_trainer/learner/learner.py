"""The learner: networks and replay buffers, and the one loop in which it learns, whatever carries its messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.agents import acfql, bc, sac
from hil_trainer.agents.algorithm import Algorithm
from hil_trainer.agents.frozen_encoder import cell_encoder
from hil_trainer.agents.policy import BaseShape, FlowPolicy, FlowPolicyShape, Weights
from hil_trainer.agents.policy_file import load_policy
from hil_trainer.checkpoints import CheckpointWriter, read_learner_state
from hil_trainer.config import TrainConfig
from hil_trainer.data.chunks import sample_chunks
from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import Batch, Chunks, Rollout, concatenate
from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.learner.device import find_device, find_threads, keep_freed_memory, uses_mixed_precision

MIN_ONLINE = 100  # transitions in the online buffer, below which batches come from the demonstration buffer alone
MAX_DEBT = 100  # steps; updates that are owed for more steps are skipped
NORMALISE_STEPS = 1000  # transitions of the policy from which features are normalised if there are no demonstrations
PUBLISH_EVERY = 10  # steps of updates, while more are owed
_CHECK_EVERY = 50  # updates between two checks that losses are finite


# Name -> the algorithm, and the shape of its policy.
_ALGORITHMS: dict[str, tuple[Callable[..., Algorithm], Callable[..., BaseShape]]] = {
    "sac": (sac.SAC, sac.policy_shape),
    "bc": (bc.BC, bc.policy_shape),
    "acfql": (acfql.ACFQL, acfql.policy_shape),
}


class LearnerSetup(NamedTuple):
    """All that a learner needs to know."""

    config: TrainConfig  # of the run
    layout: ObservationLayout  # of the observations
    actions: int  # size of an action

    @property
    def shape(self) -> BaseShape:
        """Of the policy that is learned."""
        config, layout, actions = self
        _, make_shape = _ALGORITHMS[config.algorithm]
        return make_shape(layout, actions, config.learning, cell_encoder(config.env.encoder))

    def make_algorithm(self, device: torch.device) -> Algorithm:
        """The algorithm, with initial weights."""
        config, (make_algorithm, _) = self.config, _ALGORITHMS[self.config.algorithm]
        mixed = uses_mixed_precision(config.mixed_precision, device)
        options: dict[str, Any] = {"device": device, "mixed_precision": mixed, "offline_steps": config.offline_steps}
        return make_algorithm(self.shape, config.learning, **options)

    def initial_policy(self) -> FlowPolicy:
        """The policy that learning starts from.

        Raises:
            CheckpointError: it cannot be read.
            ConfigurationError: it was not imitated, or sees, does or plans something else.
        """
        path, shape = self.config.init, self.shape
        assert path is not None
        policy = load_policy(path).policy
        if not isinstance(policy, FlowPolicy) or type(policy.shape) is not FlowPolicyShape:
            raise ConfigurationError(f"The policy of --init, {path}, was not imitated; train one by --algorithm bc.")
        problems = shape.layout.differences(policy.shape.layout)
        for name in ("actions", "chunk_size", "width", "attention_heads", "discrete_gripper", "encoder"):
            own, its = getattr(shape, name), getattr(policy.shape, name)
            if own != its:
                problems.append(f"{name} is {own} instead of {its}")
        if problems:
            raise ConfigurationError(
                f"The policy of --init, {path}, does not fit: {'; '.join(problems)}. Give the settings that it was "
                "trained with, or train another one by --algorithm bc."
            )
        return policy


class Learner:
    """An algorithm and both replay buffers.

    Rollouts go to the online buffer and demonstrations to the demonstration buffer; the steps of a rollout in which an
    operator acted go to both. Half of each batch comes from either (RLPD's symmetric sampling). An algorithm that only
    imitates learns from the operator's steps in the demonstration buffer; nothing else is stored.

    Attributes:
        algorithm: networks, optimizers and updates.
        updates: so far, of the critics if there are any.
    """

    def __init__(self, setup: LearnerSetup):
        config, layout, actions = setup
        self.config = config
        device = find_device(config.device)
        torch.manual_seed(config.seed)
        if device.type == "cpu":
            torch.set_num_threads(find_threads(config))
            keep_freed_memory()
        self.algorithm = setup.make_algorithm(device)
        self._update = torch.compile(self.algorithm.update) if config.compile else self.algorithm.update
        options: dict[str, Any] = {"device": device, "encoded": self.algorithm.encoded}
        self.online_buffer, self.demo_buffer = (
            ReplayBuffer(layout, actions, config.learning.buffer_capacity, seed=2 * config.seed + number, **options)
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
        if self.algorithm.imitates_only:
            self.demo_buffer.add(self.algorithm.keep(rollout.transitions.interventions()))
            return
        transitions = self.algorithm.keep(rollout.transitions)
        if rollout.demonstration:
            self.demo_buffer.add(transitions)
        else:
            self.online_buffer.add(transitions)
            self.demo_buffer.add(transitions.interventions())

    def learn(self, steps: int) -> None:
        """Make the updates of some environment steps: `utd_ratio` for each, of SAC's policy one.

        Raises:
            DivergenceError: a loss is not finite.
        """
        if not len(self.online_buffer) and not len(self.demo_buffer):
            return
        self._normalise()
        for _ in range(steps):
            utd_ratio = self.algorithm.utd_ratio
            batch = self.sample(utd_ratio * self.config.learning.batch_size)
            self._metrics = self._update(batch, updates=utd_ratio)
            before, self.updates = self.updates, self.updates + utd_ratio
            if before // _CHECK_EVERY != self.updates // _CHECK_EVERY:
                self.metrics()

    def _normalise(self) -> None:
        """Normalise the features of a foreign environment: by what was seen before the first update, or soon after."""
        layout = self.online_buffer.format.layout
        fixed = self.updates and (len(self.demo_buffer) or self.online_buffer.added >= NORMALISE_STEPS)
        if layout.is_foreign and not fixed and self.config.init is None:
            rows = torch.cat([buffer.rows[: len(buffer)] for buffer in self.buffers.values()])
            self.algorithm.normalise(rows[:, : layout.state_size - layout.encoded_size])

    def sample(self, size: int) -> Batch | Chunks:
        """Draw a batch of transitions or windows, half of them from the demonstration buffer."""
        if not len(self.demo_buffer):
            return self._draw(self.online_buffer, size)
        if len(self.online_buffer) < MIN_ONLINE:
            return self._draw(self.demo_buffer, size)
        return concatenate(self._draw(self.online_buffer, size // 2), self._draw(self.demo_buffer, size - size // 2))

    def _draw(self, buffer: ReplayBuffer, size: int) -> Batch | Chunks:
        chunk_size = self.algorithm.chunk_size
        if not chunk_size:
            return buffer.sample(size)
        return sample_chunks(buffer, size, chunk_size, returns=self.algorithm.needs_returns)

    def metrics(self) -> dict[str, float]:
        """The newest losses and values; a DivergenceError if one is not finite."""
        metrics = {name: float(value) for name, value in self._metrics.items()}
        wrong = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if wrong:
            raise self._diverged(", ".join(wrong))
        return metrics

    def weights(self) -> Weights:
        """A copy of the policy's weights; a DivergenceError if they are not finite."""
        weights = {name: value.cpu().numpy().copy() for name, value in self.algorithm.policy.state_dict().items()}
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
        state = {"algorithm": self.algorithm.state_dict(), "updates": self.updates}
        for name, value in _tensors(state):
            if not bool(torch.isfinite(value).all()):
                raise self._diverged(f"{name.removeprefix('algorithm.')} is not finite")
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
            self.algorithm.load_state_dict(state["algorithm"])
            for name, buffer in self.buffers.items():
                buffer.load_state_dict(state["buffers"][name], segments.get(name, ()))
        except CheckpointError:
            raise
        except (RuntimeError, KeyError, ValueError, AttributeError) as error:
            raise CheckpointError(
                "The checkpoint does not fit the settings; --algorithm, --task, --obs, --image-size, --privileged, "
                f"and --{self.config.group}'s of chunks and networks must be those that the run began with: "
                f"{error}."
            ) from error
        self.updates = state["updates"]
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda"]])

    def _diverged(self, why: str) -> DivergenceError:
        option = f"--{self.config.group}.learning-rate"
        return DivergenceError(
            f"After {self.updates} updates {why}. The last checkpoint is from before. Lower {option}, "
            "or switch --mixed-precision off, and resume."
        )


class Snapshot(NamedTuple):
    """The state of the learner that others see."""

    rollouts: int  # that it has learned from
    env_steps: int  # in them, without demonstrations
    updates: int  # of the critics
    weights: Weights  # of the policy
    metrics: dict[str, float]  # the newest losses and values


class SaveRequest(NamedTuple):
    """Message that asks for a checkpoint."""

    step: int  # of training
    run: dict[str, Any]  # all state but the learner's, as JSON


class StopRequest(NamedTuple):
    """Message that ends the loop."""


Message = Rollout | SaveRequest | StopRequest


class LearnerLoop:
    """Receives rollouts, learns from them, publishes the policy, and writes checkpoints.

    Each environment step is an update that is owed, after the first `online_steps_before_learning`. In lockstep, all
    updates of a rollout are made before the next message is received, so that the same seed learns the same. Otherwise
    all waiting messages are taken first, and updates that are owed for more than `max_debt` steps are skipped.

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
        elif setup.config.init is not None:
            algorithm = self.learner.algorithm
            assert isinstance(algorithm, bc.BC)
            algorithm.start_from(setup.initial_policy())
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
        """The state of the learner; a DivergenceError if a loss or a weight is not finite."""
        self._unpublished = 0
        metrics = self.learner.metrics()  # first, because a loss says more than what it did to the weights
        learned = self.env_steps - self.debt
        return Snapshot(self._rollouts, learned, self.learner.updates, self.learner.weights(), metrics)

    def _add(self, rollout: Rollout) -> None:
        self.learner.add(rollout)
        self._rollouts += 1
        if not rollout.demonstration:
            self.env_steps += rollout.steps
            owed = rollout.steps
            if not rollout.offline and (waits := self.learner.config.online_steps_before_learning):
                owed = min(owed, max(self.learner.online_buffer.added - waits, 0))
            self.debt += owed
            if not self._lockstep and not rollout.offline:  # no offline step is skipped
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
