"""Where the trainer meets Ray: connecting to it, and calling what runs on it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gym_hil.errors import MissingExtraError
from hil_trainer.config import LOCAL
from hil_trainer.errors import LearnerError
from hil_trainer.learner.link import GoneError, UnreachableError
from hil_trainer.learner.server import Delivery, Order

NAMESPACE = "hil_trainer"
_OBJECT_STORE = 200 << 20  # bytes; weights and rollouts pass through it, nothing stays
_ANSWERS_WITHIN = 30.0  # s
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # The trainer tells itself when an actor has ended.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",
    # How long a connection through ray:// may be gone, in s.
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "120",
}


def load_ray() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Training with --ray needs Ray: pip install 'gym-hil[ray]'") from error
    return ray


class Cluster:
    """A connection to Ray.

    Args:
        address: "local" starts a Ray that ends with this process, and obeys only who has the token in this user's home;
            see `TrainConfig.ray` for others.

    Attributes:
        ray: the package.

    Raises:
        MissingExtraError: Ray is not installed.
        LearnerError: there is no Ray at this address.
    """

    def __init__(self, address: str):
        self.is_local = address == LOCAL
        # A Ray listens on all addresses, and does for everybody what it is told, unless it asks for a token.
        if self.is_local or _has_token():
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        self.ray = load_ray()
        self._asked = address
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
        if self.is_local:
            options |= {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        try:
            self.ray.init(address=address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise LearnerError(
                f"No Ray can be reached at {address!r}: {str(error).strip()} Start one with `ray start --head`, or "
                "give --ray alone."
            ) from error

    @property
    def through_client(self) -> bool:
        """Whether this machine is no part of the cluster."""
        return self._asked.startswith("ray://")

    @property
    def address(self) -> str:
        """Where others find this Ray."""
        return self._asked if self.through_client else self.ray.get_runtime_context().gcs_address

    def here(self) -> dict[str, Any]:
        """The options by which Ray puts something on this machine, if it is part of the cluster."""
        if self.through_client:
            return {}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(self._node, soft=False)}

    def gpus(self) -> int:
        """How many GPUs there are, where `here` puts things."""
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        if not self.through_client:
            nodes = [node for node in nodes if node["NodeID"] == self._node]
        return max((int(node["Resources"].get("GPU", 0)) for node in nodes), default=0)

    def close(self) -> None:
        """End the connection, and what was started for it."""
        self.ray.shutdown()

    @property
    def _node(self) -> str:
        return self.ray.get_runtime_context().get_node_id()


def _has_token() -> bool:
    """Whether this user has a token for Ray. By itself Ray does not always use it."""
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return named or (Path.home() / ".ray" / "auth_token").is_file()


def exchange_with(ray: Any, host: Any) -> Callable[[Delivery], Order]:
    """How a `Link` reaches a learner on Ray.

    Args:
        ray: the package.
        host: handle of the learner.
    """
    errors = ray.exceptions

    def exchange(delivery: Delivery) -> Order:
        try:
            return ray.get(host.exchange.remote(delivery), timeout=_ANSWERS_WITHIN)
        except (errors.ActorUnavailableError, errors.GetTimeoutError, errors.ObjectLostError) as error:
            raise UnreachableError from error
        except (errors.RayActorError, ConnectionError) as error:
            raise GoneError from error

    return exchange
