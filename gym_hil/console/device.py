"""The web page as an input device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.console.console import Console, get_console
from gym_hil.console.protocol import Input
from gym_hil.display import ConsoleOptions, TlsOption
from gym_hil.teleop import Button, InputDevice
from gym_hil.teleop.gamepad import STICK_LEGEND
from gym_hil.teleop.gamepad_mapping import BINDINGS as PAD_BINDINGS
from gym_hil.teleop.keyboard_keys import KEYS, LABELS

# Name of a key -> `KeyboardEvent.code`, by the UI Events specification of the W3C. Letters are added below.
CODES = {
    "space": "Space",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "shift_l": "ShiftLeft",
    "shift_r": "ShiftRight",
    "ctrl_l": "ControlLeft",
    "ctrl_r": "ControlRight",
    "enter": "Enter",
    "keypad_enter": "NumpadEnter",
    "esc": "Escape",
    **{key: f"Key{key.upper()}" for key in KEYS if len(key) == 1},
}
# Our word for a gamepad's button -> its index in the standard layout of the Gamepad API of the W3C.
PAD_INDICES = {"a": 0, "b": 1, "x": 2, "y": 3, "lb": 4, "rb": 5, "lt": 6, "rt": 7}


class WebDevice(InputDevice):
    """The console's page: keyboard, gamepad, touch and a target to drag, from any browser that has the link.

    The operator on the page that has the seat drives. When the page is closed or hidden, or its connection is lost,
    nothing is held any longer and the intervention ends.

    Args:
        env: the environment that is driven; without one the page shows nothing, but its input counts.
        host: see `ConsoleOptions`, and so with the next four.
        port: see `ConsoleOptions`.
        allow_remote: see `ConsoleOptions`.
        tls: see `ConsoleOptions`.
        public_url: see `ConsoleOptions`.
        console: the console to appear on, or options of the one that all share, instead of the five before.
        intervention: `toggle`, `hold` or `auto`.
        clock: s, never goes back.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: an option is unsafe, or differs from that of the console that runs already.
        DeviceError: the port is taken.
    """

    on_page = True

    def __init__(
        self,
        *,
        env: Any = None,
        host: str | None = None,
        port: int | None = None,
        allow_remote: bool | None = None,
        tls: TlsOption | None = None,
        public_url: str | None = None,
        console: Console | ConsoleOptions | None = None,
        intervention: str = "toggle",
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(intervention=intervention, clock=clock)
        if console is None:
            console = ConsoleOptions(host, port, allow_remote, tls, public_url)
        self.console = get_console(console) if isinstance(console, ConsoleOptions) else console
        self.applied = 0.0  # ms on the page's clock: the newest input that a poll has used
        self._mode = intervention
        self._env = env
        self._target: NDArray[np.float64] | None = None
        self._sticks = np.zeros(6)
        self._time = 0.0
        self._channel = None if env is None else self.console.channel_for(env.unwrapped)
        if self._channel is not None:
            self._channel.device = self

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> WebDevice:
        """See `Device.for_env`."""
        return cls(env=env, **options)

    def hear(self, news: Input) -> None:
        """Take in what the operator at the page does; called from the server's thread."""
        for pressed, button in news.changes:
            (self.inputs.press if pressed else self.inputs.release)(button)
        self.inputs.set_held(news.held)
        self._sticks = np.array(news.motion)
        self._target = None if news.target is None else np.array(news.target)
        if self._target is None:  # otherwise the next poll works it out, and must not find it undone
            self.inputs.set_motion(self._sticks)
        self._time = news.time

    def lose(self) -> None:
        """Nobody is there any more; called from the server's thread."""
        self._target = None
        self.inputs.silence()

    def read(self) -> None:
        """See `InputDevice.read`."""
        self.applied = self._time
        target, position = self._target, getattr(getattr(self._env, "unwrapped", None), "tcp_target", None)
        if target is None or position is None:
            return
        # Worked out at the moment of the step: a page that did it would not know how far the last one has come.
        motion = self._sticks.copy()
        motion[:3] += (target - position) / self._env.get_wrapper_attr("full_speed")
        self.inputs.set_motion(motion, heard=False)

    def set_intervention(self, mode: str) -> None:
        """See `Device.set_intervention`."""
        super().set_intervention(mode)
        self._mode = mode
        if self._channel is not None:
            self._channel.tell_controls()

    def close(self) -> None:
        """Take no more input. The console goes on for others."""
        self.lose()
        if self._channel is not None and self._channel.device is self:
            self._channel.device = None

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`."""
        return [(f"{title}: {control}", action) for title, rows in self._legends() for control, action in rows]

    def describe(self) -> str:
        """Where the page is, and the legend."""
        return f"{self.console.announcement()}\n{super().describe()}"

    def controls(self) -> dict[str, Any]:
        """What the page has to know: which key and button is what; see `gym_hil.console.protocol`."""
        return {
            "intervention": self._mode,
            "keys": {CODES[key]: button.name for key, button in KEYS.items()},
            "pad": {str(PAD_INDICES[word]): button.name for word, button in PAD_BINDINGS.items()},
            "buttons": {button.name: self._words(button) for button in Button},
            "legend": [{"title": title, "rows": [list(row) for row in rows]} for title, rows in self._legends()],
        }

    def _legends(self) -> list[tuple[str, list[tuple[str, str]]]]:
        keys: dict[Button, list[str]] = {}
        for key, button in KEYS.items():
            if key in LABELS:
                keys.setdefault(button, []).append(LABELS[key])
        return [
            ("Keyboard", [(" or ".join(labels), self._words(button)) for button, labels in keys.items()]),
            (
                "Gamepad",
                [*STICK_LEGEND, *((word.upper(), self._words(button)) for word, button in PAD_BINDINGS.items())],
            ),
            ("Mouse or finger", [("drag the target", "move the tool there"), ("drag elsewhere", "look around")]),
        ]
