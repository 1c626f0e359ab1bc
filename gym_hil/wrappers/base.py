"""What wrappers with a device, a window or a place on the console have in common: how they are copied and pickled."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from typing_extensions import Self


class RecordedArguments(gym.utils.RecordConstructorArgs):
    """Records the arguments that a wrapper is made with, for its environment's spec; `SHARED` ones are not copied."""

    SHARED: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        wrapper = super().__new__(cls)
        # A copy is made without arguments, and gets what was recorded.
        given = inspect.signature(cls.__init__).bind_partial(wrapper, *args, **kwargs).arguments
        arguments = {**given, **given.pop("kwargs", {})}
        wrapper._saved_kwargs = {
            name: share(value) if name in cls.SHARED else copy.deepcopy(value)
            for name, value in arguments.items()
            if name not in ("self", "env")
        }
        return wrapper


class OperatorWrapper(gym.Wrapper[Any, Any, Any, Any], RecordedArguments):
    """Base of the wrappers that an operator uses.

    `pickle` stores the constructor's arguments: what is loaded is a new environment, to be reset first. `copy.deepcopy`
    copies the episode as it stands; the copy shows itself from its next reset on.
    """

    NOT_COPIED: tuple[str, ...] = ()  # attributes that are None in a copy

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(type(self), **self._saved_kwargs)
        return make, (self.env,), {"_cached_spec": self._cached_spec}

    def __deepcopy__(self, memo: dict[int, Any]) -> OperatorWrapper:
        copied = memo[id(self)] = type(self).__new__(type(self))
        for name, value in vars(self).items():
            copied.__dict__[name] = None if name in self.NOT_COPIED else copy.deepcopy(value, memo)
        return copied


class Shared:
    """An argument that an `EnvSpec` names and does not copy: a device in an operator's hands, or a function.

    Gymnasium copies an environment's specification for each wrapper around it.
    """

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shared) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self


def share(value: Any) -> Any:
    """An argument as an `EnvSpec` names it: objects shared, names, numbers, and containers of these as they are."""
    if isinstance(value, Mapping):
        return {key: share(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [share(entry) for entry in value]
    return value if value is None or isinstance(value, (str, float, int, Shared)) else Shared(value)


def unshare(value: Any) -> Any:
    """The argument that was given to `share`."""
    if isinstance(value, dict):
        return {key: unshare(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [unshare(entry) for entry in value]
    return value.value if isinstance(value, Shared) else value
