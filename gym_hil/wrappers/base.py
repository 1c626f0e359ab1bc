"""What wrappers with a device, a window or a place on the console have in common: how they are copied and pickled."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import gymnasium as gym

_Init = TypeVar("_Init", bound=Callable[..., None])


def record_arguments(*shared: str) -> Callable[[_Init], _Init]:
    """A decorator of a wrapper's `__init__` that records its arguments for the environment's spec.

    Those in `shared` are not copied. Where one such constructor calls another, or a subclass has called
    `RecordConstructorArgs.__init__` itself, what was recorded first counts.
    """

    def decorate(init: _Init) -> _Init:
        signature = inspect.signature(init)

        @functools.wraps(init)
        def recorded(self: gym.utils.RecordConstructorArgs, *args: Any, **kwargs: Any) -> None:
            given: dict[str, Any] = {}
            with contextlib.suppress(TypeError):  # which the constructor raises, in Python's own words
                given = signature.bind(self, *args, **kwargs).arguments
            arguments = {
                name: share(value) if name in shared else value
                for name, value in given.items()
                if name not in ("self", "env")
            }
            gym.utils.RecordConstructorArgs.__init__(self, **arguments)
            init(self, *args, **kwargs)

        return cast(_Init, recorded)

    return decorate


class OperatorWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
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
