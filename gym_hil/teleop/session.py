"""The states of a command around an episode: waiting for the operator, ready, running, decision about the episode."""

from __future__ import annotations

import enum
import time
from typing import Any

import gymnasium as gym

from gym_hil.status import StatusLine
from gym_hil.teleop import Device, Event, TeleopCommand

POLL_PERIOD = 0.02  # s between two polls of the device while no step is made
DECISION_SECONDS = 3.0  # for the decision about an episode, after which it is kept
LAST_DECISION_SECONDS = 10.0  # the same for the last one, after which the recording ends
PAGE_WAITS = "the operator to open the page and take the controls"
DEVICE_WAITS = "the operator to press any key or button of the device"
STOPPED = "EMERGENCY STOP"
ASKS_FOR_HELP = "THE POLICY ASKS FOR HELP"


class Choice(enum.Enum):
    """What the operator has chosen."""

    GO = "go on"
    AGAIN = "record the last episode again"
    DELETE = "delete the last episode"
    QUIT = "quit"


class OperatorSession:
    """The state machine of a command that an operator takes part in; the status line and the page show its state.

    `prepare`, a reset of the environment, `wait_until_ready`, `run`, steps until the episode ends, `end`, `decide`, and
    so on. Without a human operator, nothing is waited for.

    - waiting: until a page holds the controls, or something was pressed or moved on a device.
    - ready: until the first motion of an operator who has taken over; with a countdown until it is over; skipped where
      a policy acts.
    - running: the episode.
    - outcome: the last episode is shown and kept, recorded again or deleted; after some seconds it is kept.

    Args:
        env: with an operator in it.
        status: the status line of the command.
        activity: what the page shows, see `gym_hil.console.messages.Session`.
        has_policy: whether a policy acts while the operator does not.
        dataset: name of the dataset that is recorded.
        episodes: how many are wanted.
        countdown: s from ready to the first step; None for the first motion, or with a policy for none.

    Attributes:
        last: the episode that was recorded last and can be deleted, in words; None for none. The command sets it.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        status: StatusLine,
        *,
        activity: str,
        has_policy: bool,
        dataset: str | None = None,
        episodes: int | None = None,
        countdown: float | None = None,
    ):
        self.last: str | None = None
        self._env, self._status = env, status
        self._device: Device | None = env.get_wrapper_attr("device")
        self._countdown = 0.0 if countdown is None and has_policy else countdown
        self._fields: dict[str, Any] = {
            "activity": activity,
            "dataset": dataset,
            "episodes": episodes,
            "has_policy": has_policy,
        }
        self._shown: dict[str, Any] = {}
        self._was_undriven = False

    @property
    def _human(self) -> bool:
        return self._device is not None and self._device.human

    def prepare(self, episode: int) -> None:
        """Show which episode comes next; call it before the reset."""
        self._fields["episode"] = episode
        self._show(phase=None if self._human else "running")

    def wait_until_ready(self) -> Choice:
        """Return when the episode should start, or what the operator has chosen instead; call it after the reset."""
        if self._device is None or not self._human:
            return Choice.GO
        starts_at: float | None = None
        while True:
            command = self._device.poll()
            now = time.monotonic()
            if Event.QUIT in command.events:
                return Choice.QUIT
            if Event.DELETE_LAST in command.events and self.last is not None:
                return Choice.DELETE
            if not self._device.present:
                starts_at = None
                self._wait("waiting", PAGE_WAITS if self._device.on_page else DEVICE_WAITS, command)
            elif self._countdown is None or self._was_undriven:
                if _moves(command):
                    break
                self._wait("ready", "move to start" if command.engaged else "take over and move to start", command)
            else:
                starts_at = now + self._countdown if starts_at is None or command.stopped else starts_at
                if now >= starts_at and not command.stopped:
                    break
                self._wait("ready", "the countdown", command, seconds=starts_at - now)
        self._was_undriven = False
        return Choice.GO

    def run(self) -> None:
        """Show that the episode runs."""
        self._status.bell()
        self._show(phase="running")

    def end(self) -> None:
        """Let it be heard that the episode is over."""
        self._status.bell()

    def decide(self, outcome: str, *, is_last: bool) -> Choice:
        """What the operator decides about the last episode, which ended with this outcome; GO to keep it."""
        if self._device is None or not self._human:
            return Choice.GO
        choices = {
            Event.SUCCESS: Choice.GO,
            Event.RERECORD: Choice.AGAIN,
            Event.DELETE_LAST: Choice.DELETE,
            Event.QUIT: Choice.QUIT,
        }
        ends_at = time.monotonic() + (LAST_DECISION_SECONDS if is_last else DECISION_SECONDS)
        while (left := ends_at - time.monotonic()) > 0 or self._device.pending is not None:
            command = self._device.poll()
            chosen = next((choices[event] for event in reversed(command.events) if event in choices), None)
            if chosen is not None:
                return chosen
            self._wait("outcome", None, command, seconds=max(left, 0.0), outcome=outcome)
        return Choice.GO

    def note_deleted(self, last: str | None) -> None:
        """The last episode was deleted; `last` is the one before it."""
        self.last = last
        channel = self._channel
        if channel is not None:
            channel.discard_last_episode()

    def note_undriven(self) -> None:
        """The last episode was not kept, as the operator did not drive: the next one waits for the first motion."""
        self._was_undriven = True

    def close(self, farewell: str) -> None:
        """Show on the page how the command has ended."""
        channel = self._channel
        if channel is not None:
            channel.farewell = farewell

    def notes(self) -> list[str]:
        """What a status line shows besides who drives: what is pending, an emergency stop, a request for help."""
        shown = {STOPPED: "stopped", ASKS_FOR_HELP: "asks_for_help"}
        pending = None if self._device is None else self._device.pending
        notes = [text for text, name in shown.items() if self._env.get_wrapper_attr(name)]
        return ([] if pending is None else [pending]) + notes

    def _wait(self, phase: str, waiting: str | None, command: TeleopCommand, **fields: Any) -> None:
        """Show what is waited for, on the page when it changes, and wait a little."""
        device, seconds = self._device, fields.get("seconds")
        assert device is not None
        if command.stopped:
            waiting = "the emergency stop to be released"
        self._show(phase=phase, waiting=waiting, **fields)
        channel = self._channel
        if channel is not None:
            channel.note_stop(command.stopped)
        parts = [f"episode {self._fields['episode']}"]
        if phase == "outcome":
            parts = [fields["outcome"], f"kept in {seconds:.0f} s", "success keeps it, re-record does it again"]
        elif seconds:
            parts.append(f"starts in {seconds:.0f} s")
        else:
            parts.append(f"{'waiting for' if phase == 'waiting' else 'ready:'} {waiting}")
        pending = device.pending
        self._status.update([*([pending] if pending else []), *([STOPPED] if command.stopped else []), *parts])
        time.sleep(POLL_PERIOD)

    def _show(
        self, *, phase: str | None, waiting: str | None = None, seconds: float | None = None, **fields: Any
    ) -> None:
        channel = self._channel
        if channel is None:
            return
        choices = {"outcome": ["SUCCESS", "RERECORD", "DELETE_LAST", "QUIT"], "running": []}.get(phase or "running")
        if choices is None:
            choices = ["QUIT"] if self.last is None else ["DELETE_LAST", "QUIT"]
        state = {**self._fields, "phase": phase, "waiting": waiting, "choices": choices, "last": self.last, **fields}
        # The page counts the seconds down by itself.
        if state != self._shown:
            self._shown = state
            channel.set_session(**state, seconds=seconds)

    @property
    def _channel(self) -> Any:
        """The environment's place on the console; None where there is none, or one of a user's own kind."""
        channel = self._env.get_wrapper_attr("channel") if self._env.has_wrapper_attr("channel") else None
        return channel if hasattr(channel, "set_session") else None


def _moves(command: TeleopCommand) -> bool:
    return command.engaged and not command.stopped and (command.gripper != 0 or bool(command.motion.any()))
