"""The one who learns: takes what happened, keeps it, and improves the policy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from hil_trainer.agents.policy import PolicyShape
from hil_trainer.agents.sac import SAC, policy_shape
from hil_trainer.config import LOCAL, TrainConfig
from hil_trainer.data.observations import ObservationLayout
from hil_trainer.data.replay_buffer import Batch, ReplayBuffer, joined
from hil_trainer.errors import CheckpointError, DivergenceError
from hil_trainer.rollout.actor import Rollout

Weights = dict[str, np.ndarray]
ONLINE_LEAST = 100  # transitions of what happened, before which batches hold demonstrations alone
_MOST_THREADS = 4  # unless the configuration says so; batches are small
_CHECK_EVERY = 50  # updates between two looks whether losses are finite


class LearnerSetup(NamedTuple):
    """All that a learner has to know.

    Attributes:
        config: how to learn.
        layout: of the observations.
        actions: numbers of an action.
    """

    config: TrainConfig
    layout: ObservationLayout
    actions: int

    @property
    def shape(self) -> PolicyShape:
        """Of the policy that is learned."""
        return policy_shape(self.layout, self.actions, self.config.agent)


class Learner:
    """Networks, optimisers and both buffers.

    Everything goes to the online buffer, except what was shown before training; what an operator did goes to the buffer
    of demonstrations, too. Batches hold as much of one as of the other (RLPD's symmetric sampling).

    Args:
        setup: see there.

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
        mixed = is_mixed(config.mixed_precision, device)
        self.sac = SAC(layout, actions, config.agent, device=device, mixed_precision=mixed)
        self._update = torch.compile(self.sac.update) if config.compile else self.sac.update
        self.online, self.shown = (
            ReplayBuffer(layout, actions, config.agent.buffer_capacity, device=device, seed=2 * config.seed + number)
            for number in range(2)
        )
        self.updates = 0
        self._latest: dict[str, torch.Tensor] = {}

    def take(self, rollout: Rollout) -> None:
        """Keep what happened."""
        if rollout.demonstration:
            self.shown.add(rollout.transitions)
        else:
            self.online.add(rollout.transitions)
            self.shown.add([transition for transition in rollout.transitions if transition.is_intervention])

    def learn(self, steps: int) -> None:
        """Improve the critics and the policy by as much as some steps of the environment are worth.

        Raises:
            DivergenceError: a loss is not finite.
        """
        if not len(self.online) and not len(self.shown):
            return
        updates = self.config.agent.utd_ratio
        for _ in range(steps):
            self._latest = self._update(self._batch(updates * self.config.agent.batch_size), updates=updates)
            before, self.updates = self.updates, self.updates + updates
            if before // _CHECK_EVERY != self.updates // _CHECK_EVERY:
                self.numbers()

    def numbers(self) -> dict[str, float]:
        """The newest losses and values.

        Raises:
            DivergenceError: one is not finite.
        """
        numbers = {name: float(value) for name, value in self._latest.items()}
        wrong = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
        if wrong:
            raise self._diverged(wrong)
        return numbers

    def weights(self) -> Weights:
        """The policy's, as actors need them.

        Raises:
            DivergenceError: they are not finite.
        """
        weights = {name: value.cpu().numpy().copy() for name, value in self.sac.policy.state_dict().items()}
        wrong = [
            f"the policy's {name} is not finite" for name, value in weights.items() if not np.isfinite(value).all()
        ]
        if wrong:
            raise self._diverged(wrong[:1])
        return weights

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning goes on from.

        Raises:
            DivergenceError: something in it is not finite, and nothing could go on from it.
        """
        self.numbers()
        state = self.sac.state_dict()
        wrong = [f"{name} is not finite" for name, value in _tensors(state) if not bool(torch.isfinite(value).all())]
        if wrong:
            raise self._diverged(wrong[:1])
        return {
            "sac": state,
            "online": self.online.state_dict(),
            "shown": self.shown.state_dict(),
            "updates": self.updates,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            CheckpointError: it belongs to other observations, actions or networks.
        """
        try:
            self.sac.load_state_dict(state["sac"])
            self.online.load_state_dict(state["online"])
            self.shown.load_state_dict(state["shown"])
        except (RuntimeError, KeyError, ValueError, AttributeError) as error:
            raise CheckpointError(
                "The checkpoint does not fit the settings; --task, --obs, --image-size, --privileged and the networks' "
                f"--sac settings must be those that the run began with: {error}."
            ) from error
        self.updates = state["updates"]
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda"]])

    def _diverged(self, wrong: list[str]) -> DivergenceError:
        return DivergenceError(
            f"After {self.updates} updates {', '.join(wrong)}. The last checkpoint is from before. Lower "
            "--sac.learning-rate, or switch --mixed-precision off, and resume."
        )

    def _batch(self, size: int) -> Batch:
        if not len(self.shown):
            return self.online.sample(size)
        if len(self.online) < ONLINE_LEAST:
            return self.shown.sample(size)
        return joined(self.online.sample(size // 2), self.shown.sample(size - size // 2))


def _tensors(state: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Everything in nested dicts and lists that may be not finite, and how to name it."""
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


def find_device(name: str) -> torch.device:
    """The device that a name means; `auto` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def find_threads(config: TrainConfig) -> int:
    """How many threads a learner on a CPU takes: one for each core that nobody acts or evaluates on, and at least one.

    Threads of one computation wait for each other. On two cores, two threads are 1.3 times (state) and 1.8 times
    (pixels) as fast as one, but where one of the cores has something else to do they take two to three times as long.
    """
    if config.threads is not None:
        return config.threads
    # In a container, or on a shared server, not all cores are for this process.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    actors = config.ray.actors if config.ray.address == LOCAL else 1
    return max(1, min(_MOST_THREADS, cores - actors - 1))


def is_mixed(choice: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: where the processor has instructions for it, it takes half the time."""
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return "avx512_bf16" in _processor_flags()


def _processor_flags() -> str:
    """What a Linux kernel says of the processor; nothing elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return ""
