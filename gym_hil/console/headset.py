"""A headset, or a phone in the hand, as an input device: the console's page reports a hand from a WebXR session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.console.messages import Bindings, Input, LegendPart
from gym_hil.console.web_device import WebDevice
from gym_hil.rotations import rotation_matrix, rotation_vector
from gym_hil.teleop import Button, TeleopCommand
from gym_hil.teleop.hand_tracking import Displacement, HandTracking

# Name of a controller's button, or of two fingers of a bare hand that touch -> its meaning; either hand counts. Those
# that start with "stopped" count while the emergency stop is on, in place of others.
BINDINGS: dict[str, Button] = {
    "b": Button.SUCCESS,
    "a": Button.FAILURE,
    "stick": Button.RERECORD,
    "side": Button.INTERVENE,
    "both": Button.STOP,
    "stopped a": Button.DELETE_LAST,
    "stopped b": Button.QUIT,
    "little": Button.STOP,
    "stopped left-ring": Button.DELETE_LAST,
    "stopped right-ring": Button.QUIT,
}
# Name of a control in the legend -> its button, or what it does.
CONTROLS: dict[str, Button | str] = {
    "squeeze (grip)": "move and turn with the hand; the first squeeze takes over",
    "trigger": "pull to close the gripper, let go to open it",
    "B or Y": BINDINGS["b"],
    "A or X": BINDINGS["a"],
    "press the stick": BINDINGS["stick"],
    "stick left or right": BINDINGS["side"],
    "stick forward or back": "move as far as the hand, or down to a fifth",
    "squeeze the other hand too": BINDINGS["both"],
    "A or X, while stopped": BINDINGS["stopped a"],
    "B or Y, while stopped": BINDINGS["stopped b"],
}
# The same of hands without controllers.
BARE_CONTROLS: dict[str, Button | str] = {
    "pinch": "move and turn with the hand; the first pinch takes over",
    "pinch with the other hand too": "close the gripper, let go to open it",
    "thumb to little finger": BINDINGS["little"],
    "left thumb to ring finger, while stopped": BINDINGS["stopped left-ring"],
    "right thumb to ring finger, while stopped": BINDINGS["stopped right-ring"],
}
# A step at full speed, in m and rad of the hand, in an environment that has no `tcp_target`.
FULL_STEP = 0.025, 0.1
CONTACT_MEMORY = 3  # steps without a contact, after which it counts as a new one


class Headset(WebDevice):
    """A headset such as a Meta Quest, or a phone: its browser opens the console's page and enters VR or AR there.

    While the operator squeezes the clutch, the tool follows the hand: what counts is how the hand has moved and turned
    since then. Squeezing takes over; letting go holds the tool still. The page's keys and buttons work as well.

    A hand that is out of view holds the tool still. When the session ends, or the connection is lost, the operator has
    2 s to be back; then the intervention ends.

    Args:
        env: the environment that is driven.
        clock: s, never goes back.
        **options: see `WebDevice`.
    """

    def __init__(self, *, env: Any = None, clock: Callable[[], float] = time.monotonic, **options: Any):
        self.tracking = HandTracking(clock)
        self._in_session = False
        self._follower = Follower(env)
        self._touches = TouchCounter()
        super().__init__(env=env, clock=clock, **options)

    def receive(self, message: Input) -> None:
        if message.hand is None:
            self.tracking.release()
            self.inputs.set_gripped(False)
            uses_page = bool(message.held or message.changes or any(message.motion) or message.target)
            if self._in_session and not uses_page:
                return  # the operator has taken the headset off: the open page alone does not count as input
            self._in_session = False
            super().receive(message)
            return
        self._in_session = True
        before = self.tracking.clutch
        self.tracking.update(message.hand)
        clutch = self.tracking.clutch
        held = [*message.held, *_gripper_button(self.tracking.gripper)]
        if clutch and self._mode == "hold":
            held.append(Button.INTERVENE)
        super().receive(replace(message, held=held))
        self.inputs.set_gripped(clutch > 0)
        if clutch and clutch != before and self._mode not in ("hold", "auto"):
            self.inputs.take_over()

    def disconnect(self) -> None:
        self.tracking.release()
        super().disconnect()

    def release(self) -> None:
        self.tracking.release()
        super().release()

    def read(self) -> None:
        super().read()
        moved = self.tracking.take()
        if self._in_session and self._dragged is None:
            self.inputs.set_motion(self._sticks + self._follower.motion(moved), is_report=False)

    def poll(self) -> TeleopCommand:
        command = super().poll()
        self._follower.note(command)
        if not command.engaged:
            self.tracking.forget()
        return command

    def reset(self) -> None:
        super().reset()
        self.tracking.forget()
        self._follower.let_go()

    def page_status(self) -> Mapping[str, Any]:
        base = getattr(self._env, "unwrapped", None)
        return {"hand_scale": self.tracking.scale, "touches": self._touches.count(base)}

    def page_bindings(self, channel: int, requests: Sequence[str]) -> Bindings:
        names = {name: button.name for name, button in BINDINGS.items()}
        return replace(super().page_bindings(channel, requests), headset=names)

    @property
    def way_there(self) -> str:
        """How a headset gets to the page."""
        port, secure = self.console.port, self.console.options.tls
        if self.console.options.public_url is not None or secure:
            return "In the headset's browser open the link above, accept the certificate, and press Enter VR."
        return (
            f"By USB: adb reverse tcp:{port} tcp:{port}\n"
            f"then open {self.console.url} in the headset's browser and press Enter VR.\n"
            "By Wi-Fi: add --allow-remote --tls. See docs/headset.md."
        )

    def _legends(self) -> list[LegendPart]:
        parts = {"Headset, either hand": CONTROLS, "Hands without controllers": BARE_CONTROLS}
        own = [
            LegendPart(title, [(control, self.label(meaning)) for control, meaning in controls.items()])
            for title, controls in parts.items()
        ]
        return [*own, *super()._legends()]


class Follower:
    """Turns displacements of the hand into the motion of each step, so that the tool goes where the hand asks for.

    The goal starts at the tool's target when the clutch is squeezed, and then moves with the hand. A step moves towards
    it as fast as it can; what is left over is for the next ones. An environment without `tcp_target` is assumed to move
    as it is commanded, `FULL_STEP` at full speed.

    Args:
        env: the environment that is driven; None if it is unknown.
    """

    def __init__(self, env: Any):
        self._env = env
        self._clutch = 0
        self._position, self._rotation = np.zeros(3), np.eye(3)  # the goal
        self._assumed = np.zeros(3), np.eye(3)  # the tool's pose, in an environment that has no `tcp_target`

    def motion(self, moved: Displacement) -> NDArray[np.float64]:
        """The motion of the coming step, (6,) fractions of full speed.

        Args:
            moved: since the last step.
        """
        if not moved.clutch:
            self._clutch = 0
            return np.zeros(6)
        position, rotation, speed, turn_speed = self._tool()
        if moved.clutch != self._clutch:
            self._clutch = moved.clutch
            self._position, self._rotation = position, rotation
        self._position = self._position + moved.position
        low_high: Any = getattr(getattr(self._env, "unwrapped", None), "cartesian_bounds", None)
        if np.shape(low_high) == (2, 3):  # a hand that comes back from beyond the edge moves the tool at once
            self._position = np.clip(self._position, *np.asarray(low_high))
        self._rotation = moved.rotation @ self._rotation
        steps = (self._position - position) / speed
        turns = rotation_vector(self._rotation @ rotation.T) / turn_speed
        # Slowed down as a whole, so that the tool goes straight.
        return np.concatenate([part / max(1.0, float(np.abs(part).max())) for part in (steps, turns)])

    def note(self, command: TeleopCommand) -> None:
        """Take in the command of a step, which may differ from the motion."""
        if not command.engaged or command.stopped:
            self.let_go()
        elif self._clutch:
            position, rotation = self._assumed
            step, turn = command.motion[:3] * FULL_STEP[0], command.motion[3:] * FULL_STEP[1]
            self._assumed = position + step, rotation_matrix(turn) @ rotation

    def let_go(self) -> None:
        """Start anew from where the tool is then, as after a reset."""
        self._clutch = 0

    def _tool(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
        """The tool's target pose, and how far a step at full speed moves (m) and turns (rad) it."""
        base = getattr(self._env, "unwrapped", None)
        position, rotation = getattr(base, "tcp_target", None), getattr(base, "tcp_rotation_target", None)
        if position is None or rotation is None:
            return (*self._assumed, np.full(3, FULL_STEP[0]), FULL_STEP[1])
        turn_speed = self._env.get_wrapper_attr("rotation_speed") or FULL_STEP[1]
        return position, rotation, np.array(self._env.get_wrapper_attr("full_speed")), turn_speed


class TouchCounter:
    """Counts how often the gripper, or what it holds, meets something, for ticks in the hand."""

    def __init__(self) -> None:
        self._touches = 0
        self._step = 0
        self._seen: dict[tuple[int, int], int] = {}  # pair of bodies -> step at which they touched last

    def count(self, base: Any) -> int | None:
        """So far; None for an environment that does not say what its gripper touches.

        Args:
            base: the unwrapped environment, after a step.
        """
        pairs = getattr(base, "gripper_contacts", None)
        if pairs is None:
            return None
        self._step += 1
        self._touches += sum(self._step - self._seen.get(pair, -CONTACT_MEMORY - 1) > CONTACT_MEMORY for pair in pairs)
        self._seen.update(dict.fromkeys(pairs, self._step))
        return self._touches


def _gripper_button(gripper: int) -> list[Button]:
    return [Button.CLOSE] if gripper > 0 else [Button.OPEN] if gripper < 0 else []
