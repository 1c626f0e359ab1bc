"""The intervention: an operator's input replaces the policy's action, and the operator's events end episodes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import check_action
from gym_hil.errors import ConfigurationError, InvalidStepError, check
from gym_hil.imports import import_function
from gym_hil.pacing import find_control_dt
from gym_hil.teleop import Device, DeviceGroup, Event, TeleopCommand
from gym_hil.teleop.keyboard import Keyboard
from gym_hil.teleop.operator import OperatorOptions, neutral_action
from gym_hil.wrappers.action_map import (
    ActionMapLike,
    FunctionMap,
    action_limits,
    check_action_space,
    choose_action_map,
    fit_action_map,
    guess_action_map,
)
from gym_hil.wrappers.base import OperatorWrapper, record_arguments, unshare

SUCCESS_KEYS = ("succeed", "is_success", "success")  # of info; the first that is there is the environment's success
TIME_TO_GET_READY = 1.0  # s, for a human, before the first step of an episode

NO_COMMAND = TeleopCommand()
_ENDS = (Event.SUCCESS, Event.FAILURE, Event.RERECORD, Event.QUIT)
INFO = "info"  # as a success hook: the environment's own success
# (observation, info) after a step -> whether the task is done. May have a method `reset()`, called at each reset.
SuccessHook = Callable[[Any, dict[str, Any]], bool]


class InputsControlWrapper(OperatorWrapper):
    """Lets an operator drive, and decides about reward, success and the end of the episode.

    While the device is engaged, its command replaces the policy's action entirely. Info has, after a reset too:

    - `is_intervention` bool: the operator acted.
    - `action_intervention` and `teleop_action` float32: the executed action, in `action_space`; the neutral one after
      a reset. An environment that executes another one than it is given says so by `executed_action` in info.
    - `succeed` bool: the environment's own success: its `succeed`, `is_success` or `success`.
    - `next.success` bool: that or the success hook's, and the operator's. `is_success`, where Stable-Baselines3 and
      others look for it, is the same.
    - `discrete_penalty` float: the gripper penalty, 0.0 without `GripperPenaltyWrapper`.
    - `rerecord_episode` bool: the operator discards this episode, to record it again.
    - `quit` bool: the operator wants to stop.

    The operator ends an episode with an event, engaged or not: success terminates with reward 1.0, failure terminates
    with the reward as it is, re-record and quit truncate. Of several events in one step the last decides. While an
    emergency stop is on, the operator intervenes by holding still; `stopped` says so.

    A success hook takes the place of the environment's own success, which then neither rewards nor ends the episode:
    the reward is 1.0 on success, and success terminates; otherwise the reward is the hook's attribute `reward`, or 0.0
    without one. An episode that the environment or the operator ends as a failure is no success, whatever the hook
    says.

    A reset ends the intervention. The first step after it waits for the rest of the reset delay, so that the new scene
    is on the screen while the operator gets ready. What was pressed before that step counts for nothing, except the
    intervention button; held buttons stay held. `seconds_paused` is the time that was waited, in s.

    A device given by name is made here and closed with the environment; a device object belongs to the caller.

    Args:
        env: an environment whose action is a `Box` of one dimension.
        x_step_size: action for full speed along x, and so `y_step_size` and `z_step_size`, in place of what the guessed
            `action_map` says.
        y_step_size: see above.
        z_step_size: see above.
        use_gripper: whether the operator moves the gripper; None if the action has a number for it.
        auto_reset: the step after the end of an episode resets instead, as with Gymnasium's `Autoreset`: it returns the
            first observation of the next episode, reward 0.0, and no end. A time limit has to be inside this wrapper.
        input_threshold: motion below this share of full speed counts as none.
        use_gamepad: True for the device "gamepad", False for "keyboard"; ignored where there is a `device`.
        controller_config_path: mapping file for gamepads; None for the bundled one.
        device: a device or its name, or several of these to be used together; None for no operator.
        intervention: `toggle`, `stay`, `hold` or `auto`; None leaves the device's own.
        device_options: constructor arguments for devices given by name.
        success: called with the observation and info of each step; returns whether the task is done, and may add to
            info. It is called at reset too, so that info has the same keys then; that answer is not used, and its
            method `reset()`, if it has one, is called afterwards. Or the name of such a function, `module:function`,
            where a class is called with the environment first; or "info" for the environment's own success, which then
            ends the episode with reward 1.0.
        reset_delay_seconds: s from a reset to the first step, at least; None for 1 s where a human drives.
        action_map: which numbers of the action the operator sets; see `fit_action_map`. None to guess it: with 3, 4, 6
            or 7 numbers x, y, z, a rotation vector if there are 6 or 7, the gripper if there are 4 or 7.
        fps: steps per second; None for what the environment says; see `find_control_dt`.

    Attributes:
        action_map: how the operator's command becomes an action.
        control_dt: s, one step.
        reports_success: whether info of any step so far had the environment's own success.

    Raises:
        UnknownDeviceError: no device has that name.
        ConfigurationError: an argument has a value that cannot work.
    """

    @record_arguments("action_map", "device", "device_options", "success")
    def __init__(
        self,
        env: gym.Env[Any, Any],
        x_step_size: float | None = None,
        y_step_size: float | None = None,
        z_step_size: float | None = None,
        use_gripper: bool | None = None,
        auto_reset: bool = False,
        input_threshold: float = 0.001,
        use_gamepad: bool | None = None,
        controller_config_path: str | PathLike[str] | None = None,
        *,
        device: str | Device | Sequence[str | Device] | None = None,
        intervention: str | None = None,
        device_options: dict[str, Any] | None = None,
        success: SuccessHook | str | None = None,
        reset_delay_seconds: float | None = 0.0,
        action_map: ActionMapLike | None = None,
        fps: float | None = None,
    ):
        super().__init__(env)
        check(0 <= input_threshold < 1, "input_threshold", input_threshold, "0 or more and less than 1")
        action_map = unshare(action_map)
        steps = {"x": x_step_size, "y": y_step_size, "z": z_step_size}
        if any(step is not None for step in steps.values()):
            if action_map is not None or not all(step is None or step > 0 for step in steps.values()):
                raise ConfigurationError(
                    f"x_step_size, y_step_size and z_step_size are {tuple(steps.values())}; expected more than 0, and "
                    "no action_map, which has scales of its own."
                )
            action_map = guess_action_map(env, steps)
        self.action_map = choose_action_map(action_map, env)
        self._map = fit_action_map(self.action_map, env, threshold=input_threshold)
        if use_gripper and self._map.gripper is None:
            raise ConfigurationError(f"use_gripper is True, but no number of {env.action_space} is for the gripper.")
        self._use_gripper = use_gripper is not False
        space = check_action_space(env)
        (self._low, self._high), self._dtype = action_limits(space), space.dtype
        self._last = neutral_action(space)  # executed by the last step
        self.control_dt = find_control_dt(env, fps)
        self._inner: Any = env if hasattr(env, "checked_action") else None

        self._success_hook = _success_hook(unshare(success), env)
        if device is None and use_gamepad is not None:
            device = "gamepad" if use_gamepad else "keyboard"
        self._operator = OperatorOptions(
            device=unshare(device),
            intervention=intervention,
            controller_config=controller_config_path,
            device_options=unshare(device_options) or {},
        )
        self._device = self._make_device()
        if reset_delay_seconds is None:
            reset_delay_seconds = TIME_TO_GET_READY if self._device is not None and self._device.human else 0.0
        self.reset_delay_seconds = checked_delay(reset_delay_seconds)
        self.auto_reset = bool(auto_reset)
        self.reports_success = False
        self.seconds_paused = 0.0  # s that steps have waited for the operator
        self._command: TeleopCommand | None = None  # polled for the coming step
        self.stopped = False  # whether an emergency stop held the robot still at the last poll
        self.asks_for_help = False  # whether the policy asks the operator to take over
        self._first_step = False  # whether the next step is the first of its episode
        self._ready_at = 0.0  # s, time.monotonic() before which it must not begin
        self._ended = False

    @property
    def device(self) -> Device | None:
        """What the operator drives with; None for no operator, and after `close`."""
        return self._device

    @property
    def keyboard_is_missing(self) -> bool:
        """Whether a keyboard, the only device and given by name, cannot be read here, by any back end."""
        devices = self._device.devices if isinstance(self._device, DeviceGroup) else (self._device,)
        return (
            self._operator.devices == ("keyboard",)
            and "backend" not in self._operator.device_options
            and all(isinstance(device, Keyboard) and device.backend is None for device in devices)
        )

    def replace_device(self, name: str) -> None:
        """Use another device from now on, and in what is pickled."""
        if self._device is not None:
            self._device.close()
        self._operator = replace(self._operator, device=name)
        self._saved_kwargs["device"] = name
        self._device = self._make_device()

    @property
    def full_speed(self) -> tuple[float, float, float]:
        """How far a step at full speed moves along x, y and z, in m, or in what the environment's action is in."""
        reach = np.array(self._map.full_speed)
        if self.env.has_wrapper_attr("ee_action_step_size"):
            steps = self.env.get_wrapper_attr("ee_action_step_size")
            reach = reach * [steps["x"], steps["y"], steps["z"]]
        x, y, z = reach.tolist()
        return x, y, z

    @property
    def gripper_index(self) -> int | None:
        """Which number of the action is the gripper's; None if none is known to be."""
        return None if self._map.gripper is None else self._map.gripper[0]

    @property
    def operator_moves(self) -> tuple[frozenset[int], bool]:
        """Which components of `TeleopCommand.motion` change anything, and whether its gripper may."""
        has_gripper = self._map.gripper is not None or isinstance(self._map, FunctionMap)
        return self._map.moves, self._use_gripper and has_gripper

    @property
    def idle_action(self) -> NDArray[np.float32]:
        """The action that leaves the robot as it is, for when no policy acts."""
        return self._map.idle(self._last)

    @property
    def rotation_speed(self) -> float | None:
        """How far a step at full speed turns about each axis, in rad; None where the action has no rotation."""
        speed = self._map.full_rotation_speed
        if speed is not None and self.env.has_wrapper_attr("rotation_step"):
            speed *= self.env.get_wrapper_attr("rotation_step")
        return speed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode in which the operator does not intervene."""
        if self._device is None:
            self._device = self._make_device()
        observation, info = self.env.reset(seed=seed, options=options)
        self.ask_for_help(False)
        if self._device is not None:
            if seed is not None:
                self._device.seed(seed)
            self._device.reset()
            self._device.observe(observation, 0.0)
        success = info["succeed"] = _own_success(info)
        if self._success_hook is not None:
            self._success_hook(observation, info)
            if hasattr(self._success_hook, "reset"):
                self._success_hook.reset()
            success = False
        self._last = self._map.start(observation, info)
        self._report(info, self._last, success=success)
        self._command, self._first_step, self._ended = None, True, False
        self._ready_at = time.monotonic() + self.reset_delay_seconds
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step with the operator's action, or with the policy's while the operator does not intervene.

        Args:
            action: the policy's; finite values out of range are clipped.

        Raises:
            InvalidActionError: the shape is wrong or a value is not finite; nothing has moved then, no press is lost.
        """
        if self._ended and self.auto_reset:
            observation, info = self.reset()
            return observation, 0.0, False, False, info
        executed = check_action(action, self._low, self._high)
        command, self._command = NO_COMMAND if self._device is None else self._poll(), None
        engaged, events = bool(command.engaged), command.events
        if engaged:
            executed = self._action(command)
        self._last = executed
        if self._inner is not None:
            self._inner.checked_action = executed

        observation, reward, terminated, truncated, info = self.env.step(executed.astype(self._dtype, copy=False))
        if "executed_action" in info:
            self._last = executed = np.asarray(info["executed_action"], dtype=np.float32)
        end = next((event for event in reversed(events) if event in _ENDS), None)
        self.reports_success = self.reports_success or any(key in info for key in SUCCESS_KEYS)
        info["succeed"] = success = _own_success(info)
        if self._success_hook is not None:
            terminated = bool(terminated) and (not success or self._has_failed())
            judged = bool(self._success_hook(observation, info))
            success = judged and not terminated and end is not Event.FAILURE
            reward = float(success) if judged else float(getattr(self._success_hook, "reward", 0.0))
            terminated = terminated or success
        if end is Event.SUCCESS:
            reward, terminated = 1.0, True
        elif end is Event.FAILURE:
            terminated = True
        elif end is not None:
            truncated = True
        self._report(info, executed, success=success or end is Event.SUCCESS, engaged=engaged, end=end, events=events)
        self._ended = terminated or truncated
        if self._device is not None:
            self._device.observe(observation, float(reward))
        return observation, reward, terminated, truncated, info

    def operator_drives(self) -> bool:
        """Whether the operator drives the coming step, so that a slow policy need not be asked for an action.

        The device is polled now in place of in `step`. The first call after a reset waits for the rest of the delay.
        """
        return bool(self._poll().engaged)

    def ask_for_help(self, on: bool) -> None:
        """Ask the operator to take over, or no longer: the policy is stuck, or is not.

        The device draws their attention. A reset ends the request.
        """
        if on != self.asks_for_help:
            self.asks_for_help = on
            if self._device is not None:
                self._device.ask_for_help(on)

    def close(self) -> None:
        """Close the devices that were made here, and the environment. A later `reset` makes them anew."""
        device, self._device = self._device, None
        made = device.devices if isinstance(device, DeviceGroup) else (device,)
        try:
            for one, given in zip(made, self._operator.devices, strict=False):
                if isinstance(given, str) and one is not None:
                    one.close()
        finally:
            self.env.close()

    def _make_device(self) -> Device | None:
        device = self._operator.make_device(self)
        if device is not None:
            axes, has_gripper = self.operator_moves
            device.set_controls(axes, has_gripper=has_gripper)
        return device

    def _poll(self) -> TeleopCommand:
        """The operator's command for the coming step."""
        if self._command is None:
            if self._device is not None and self._first_step:
                self._wait_until_ready()
                self._device.start_episode()
                self._first_step = False
            self._command = NO_COMMAND if self._device is None else self._device.poll()
            self.stopped = self._command.stopped
        return self._command

    def _wait_until_ready(self) -> None:
        remaining = self._ready_at - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
            self.seconds_paused += remaining

    def _report(
        self,
        info: dict[str, Any],
        executed: NDArray[np.float32],
        *,
        success: bool,
        engaged: bool = False,
        end: Event | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        """Write what this wrapper has decided into info."""
        info["next.success"] = info["is_success"] = success
        info["is_intervention"] = engaged
        info["action_intervention"] = executed.copy()
        info["teleop_action"] = executed.copy()
        info["discrete_penalty"] = float(info.get("discrete_penalty", 0.0))
        info["rerecord_episode"] = end is Event.RERECORD
        info["quit"] = Event.QUIT in events

    def _has_failed(self) -> bool:
        """Whether an environment that ended with success has failed on the same step, as far as it can be asked."""
        is_failure = getattr(self.unwrapped, "is_failure", None)
        return is_failure is not None and bool(is_failure())

    def _action(self, command: TeleopCommand) -> NDArray[np.float32]:
        """The action for a command."""
        if command.action is not None:
            return check_action(command.action, self._low, self._high)
        return self._map.action(command if self._use_gripper else replace(command, gripper=0), self._last)


class ResetDelayWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Waits after each reset, around any environment.

    `InputsControlWrapper(reset_delay_seconds=...)` waits before the first step of an episode instead, when the new
    scene is on the screen.

    Args:
        env: the environment.
        delay_seconds: s to wait.

    Raises:
        ConfigurationError: the delay is negative or not finite.
    """

    @record_arguments()
    def __init__(self, env: gym.Env[Any, Any], delay_seconds: float = 0.0):
        super().__init__(env)
        self.delay_seconds = checked_delay(delay_seconds)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode, and wait."""
        result = self.env.reset(seed=seed, options=options)
        time.sleep(self.delay_seconds)
        return result


def checked_delay(seconds: float) -> float:
    """The reset delay in s; a ConfigurationError if it is negative or not finite."""
    check(0 <= seconds < math.inf, "The reset delay", seconds, "seconds, 0 or more")
    return float(seconds)


def _success_hook(success: Any, env: gym.Env[Any, Any]) -> SuccessHook | None:
    """The success hook that an argument names."""
    if success == INFO:
        return lambda observation, info: _own_success(info)
    if isinstance(success, str):
        found = import_function(success, role="success")
        return found(env) if isinstance(found, type) else found
    expected = f"a function of an observation and info, its name MODULE:FUNCTION, or {INFO!r}"
    check(success is None or callable(success), "success", success, expected)
    return success


def _own_success(info: dict[str, Any]) -> bool:
    for key in SUCCESS_KEYS:
        if key in info:
            try:
                return bool(info[key])
            except (RuntimeError, TypeError, ValueError) as error:  # an array or a tensor of several
                raise InvalidStepError(
                    f"info[{key!r}] of the environment is {info[key]!r}; expected whether the task is done, one bool."
                ) from error
    return False
