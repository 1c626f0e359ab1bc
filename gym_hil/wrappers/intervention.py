"""An operator's input takes the place of the policy's action, and every step says who acted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Device, Event, TeleopCommand
from gym_hil.teleop.operator import OperatorOptions
from gym_hil.wrappers.actions import checked_action

# Length of an action -> how many numbers of the motion it carries; 4 and 7 have one for the gripper behind.
MOTION_NUMBERS = {3: 3, 4: 3, 6: 6, 7: 6}
SUCCESS_KEYS = ("succeed", "is_success", "success")  # of info; the first that is there is the environment's success

# (observation, info) after a step -> whether the task is done. May have a method `reset()`, called at each reset.
SuccessHook = Callable[[Any, dict[str, Any]], bool]


class InputsControlWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Lets an operator drive.

    While the device is engaged, its command replaces the policy's action entirely. On every step info has:

    - `is_intervention` bool: the operator acted.
    - `action_intervention` and `teleop_action` float32: the action that was executed, in `action_space`, whoever acted.
    - `succeed` bool: the environment's own success: its `succeed`, `is_success` or `success`.
    - `next.success` bool: that or the success hook's, and the operator's.
    - `discrete_penalty` float: the gripper penalty, 0.0 without `GripperPenaltyWrapper`.
    - `rerecord_episode` bool: the operator wants this episode discarded and recorded again.
    - `quit` True: only there when the operator wants to stop.

    The operator ends an episode with an event, engaged or not: success terminates with reward 1.0, failure terminates
    with the reward as it is, re-record and quit truncate. Of several events in one step the last decides.

    A success hook takes the place of the environment's own success, which then neither rewards nor ends the episode:
    the reward is 1.0 on success and 0.0 otherwise, and success terminates. An episode that the environment or the
    operator ends as a failure is no success, whatever the hook says.

    At reset the device forgets what is pending and the intervention ends; held buttons stay held. A device given by
    name is made here and closed with the environment; a device object belongs to whoever made it.

    Args:
        env: an environment whose action has 3, 4, 6 or 7 numbers: x, y, z, a rotation vector if there are 6 or 7, the
            gripper if there are 4 or 7.
        x_step_size: action for full speed along x; so are `y_step_size` and `z_step_size`.
        y_step_size: see above.
        z_step_size: see above.
        use_gripper: whether the operator moves the gripper; None if the action has a number for it.
        auto_reset: whether the end of an episode starts the next one at once. The step then returns the first
            observation of the next episode, and in info `final_obs` and `final_info` of the last. A time limit has to
            lie inside this wrapper then; see `make_env`.
        input_threshold: motion below this share of full speed counts as none.
        use_gamepad: True for the device "gamepad", False for "keyboard"; only looked at without `device`.
        controller_config_path: a mapping file of one's own, for gamepads.
        device: a device or its name, or several of these to be used together; None if nobody drives.
        intervention: `toggle`, `hold` or `auto`; None leaves the device's own.
        device_options: constructor arguments for devices given by name.
        success: called with the observation and info of each step; returns whether the task is done, and may add to
            info. It is called at reset too, so that info has the same keys then; that answer is not used, and its
            method `reset()`, if it has one, is called afterwards.

    Raises:
        UnknownDeviceError: no device has that name.
        ConfigurationError: an argument has a value that cannot work.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        x_step_size: float = 1.0,
        y_step_size: float = 1.0,
        z_step_size: float = 1.0,
        use_gripper: bool | None = None,
        auto_reset: bool = False,
        input_threshold: float = 0.001,
        use_gamepad: bool | None = None,
        controller_config_path: str | PathLike[str] | None = None,
        *,
        device: str | Device | Sequence[str | Device] | None = None,
        intervention: str | None = None,
        device_options: dict[str, Any] | None = None,
        success: SuccessHook | None = None,
    ):
        gym.utils.RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a hook or a device is the caller's, and may hold what cannot be copied
            x_step_size=x_step_size,
            y_step_size=y_step_size,
            z_step_size=z_step_size,
            use_gripper=use_gripper,
            auto_reset=auto_reset,
            input_threshold=input_threshold,
            use_gamepad=use_gamepad,
            controller_config_path=controller_config_path,
            device=device,
            intervention=intervention,
            device_options=device_options,
            success=success,
        )
        gym.Wrapper.__init__(self, env)
        space = env.action_space
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1 or space.shape[0] not in MOTION_NUMBERS:
            raise ConfigurationError(f"InputsControlWrapper needs an action of 3, 4, 6 or 7 numbers, not {space}.")
        size = space.shape[0]
        self._motion_numbers = MOTION_NUMBERS[size]
        has_gripper = size > self._motion_numbers
        if use_gripper and not has_gripper:
            raise ConfigurationError(f"use_gripper is True, but an action of {size} numbers has none for the gripper.")
        self._use_gripper = has_gripper if use_gripper is None else use_gripper
        steps = (x_step_size, y_step_size, z_step_size)
        if not all(step > 0 for step in steps):
            raise ConfigurationError(f"x_step_size, y_step_size and z_step_size are {steps}; expected more than 0.")
        if not 0 <= input_threshold < 1:
            raise ConfigurationError(f"input_threshold is {input_threshold!r}; expected 0 or more and less than 1.")
        self._low, self._high = space.low, space.high
        self._threshold, self._auto_reset = input_threshold, auto_reset
        self._scale = np.array([*steps, 1.0, 1.0, 1.0])[: self._motion_numbers]
        self._neutral = ((space.low + space.high) / 2).astype(np.float32)

        if device is None and use_gamepad is not None:
            device = "gamepad" if use_gamepad else "keyboard"
        if success is not None and not callable(success):
            raise ConfigurationError(f"success is {success!r}; expected a function of an observation and info.")
        self._success_hook = success
        self._given = device
        self._operator = OperatorOptions(
            device=device,
            intervention=intervention,
            controller_config=controller_config_path,
            device_options=device_options or {},
        )
        self._device = self._operator.make_device(self)

    @property
    def device(self) -> Device | None:
        """Who drives besides the policy; None if nobody does, and after `close`."""
        return self._device

    @property
    def full_speed(self) -> tuple[float, float, float]:
        """How far a step at full speed moves along x, y and z, in m."""
        reach = np.minimum(self._scale[:3], self._high[:3])
        if self.env.has_wrapper_attr("ee_action_step_size"):
            steps = self.env.get_wrapper_attr("ee_action_step_size")
            reach = reach * [steps["x"], steps["y"], steps["z"]]
        x, y, z = reach.tolist()
        return x, y, z

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode with nobody intervening."""
        if self._device is None:
            self._device = self._operator.make_device(self)
        observation, info = self.env.reset(seed=seed, options=options)
        if self._device is not None:
            if seed is not None:
                self._device.seed(seed)
            self._device.reset()
        info["succeed"] = info["next.success"] = _own_success(info)
        if self._success_hook is not None:
            info["next.success"] = False
            self._success_hook(observation, info)
            if hasattr(self._success_hook, "reset"):
                self._success_hook.reset()
        info["discrete_penalty"] = float(info.get("discrete_penalty", 0.0))
        info["is_intervention"] = info["rerecord_episode"] = False
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step with the operator's action, or with the policy's while nobody intervenes.

        Args:
            action: the policy's; finite values out of range are clipped.

        Raises:
            InvalidActionError: the shape is wrong or a value is not finite; nothing has moved then, no press is lost.
        """
        executed = checked_action(action, self._low, self._high)
        engaged, end, asks_quit = False, None, False
        if self._device is not None:
            command = self._device.poll()
            engaged = bool(command.engaged)
            if engaged:
                executed = self._action(command)
            if command.events:
                end, asks_quit = command.events[-1], Event.QUIT in command.events

        observation, reward, terminated, truncated, info = self.env.step(executed)
        info["succeed"] = success = _own_success(info)
        if self._success_hook is not None:
            terminated = bool(terminated) and (not success or self._has_failed())
            success = bool(self._success_hook(observation, info)) and not terminated and end is not Event.FAILURE
            reward, terminated = float(success), terminated or success
        info["next.success"] = success or end is Event.SUCCESS
        info["is_intervention"] = engaged
        info["action_intervention"] = executed
        info["teleop_action"] = executed.copy()
        info["discrete_penalty"] = float(info.get("discrete_penalty", 0.0))
        info["rerecord_episode"] = end is Event.RERECORD
        if asks_quit:
            info["quit"] = True
        if end is Event.SUCCESS:
            reward, terminated = 1.0, True
        elif end is Event.FAILURE:
            terminated = True
        elif end is not None:
            truncated = True
        if self._auto_reset and (terminated or truncated):
            final = {"final_obs": observation, "final_info": info}
            observation, _ = self.reset()
            info = {**info, **final}
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the devices that were made here, and the environment. A later `reset` makes them anew."""
        device, self._device = self._device, None
        try:
            if isinstance(self._given, str) and device is not None:
                device.close()
            elif device is not None and not isinstance(self._given, Device):
                for one, given in zip(device.devices, self._given, strict=True):  # type: ignore[attr-defined, arg-type]
                    if isinstance(given, str):
                        one.close()
        finally:
            self.env.close()

    def _has_failed(self) -> bool:
        """Whether an environment that ended with success has failed on the same step, as far as it can be asked."""
        is_failure = getattr(self.unwrapped, "is_failure", None)
        return is_failure is not None and bool(is_failure())

    def _action(self, command: TeleopCommand) -> NDArray[np.float32]:
        """The action that carries a command."""
        action = self._neutral.copy()
        motion = command.motion[: self._motion_numbers]
        action[: self._motion_numbers] = np.where(np.abs(motion) < self._threshold, 0.0, motion) * self._scale
        if self._use_gripper and command.gripper:
            action[-1] = (self._low if command.gripper < 0 else self._high)[-1]
        return np.minimum(np.maximum(action, self._low), self._high)


def _own_success(info: dict[str, Any]) -> bool:
    return next((bool(info[key]) for key in SUCCESS_KEYS if key in info), False)
