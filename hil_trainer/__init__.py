"""Learning from rewards, demonstrations and an operator who takes over: a trainer for the environments of `gym_hil`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hil_trainer.agents.policy_file import LoadedPolicy, load_policy

__all__ = ["LoadedPolicy", "load_policy"]


def __getattr__(name: str) -> Any:
    """Load what needs torch only when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hil_trainer.agents import policy_file

    return getattr(policy_file, name)
