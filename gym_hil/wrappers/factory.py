"""The whole stack in one call: what `gym.make` of every id with an operator in it builds."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, TypedDict

import gymnasium as gym

from gym_hil import display
from gym_hil.display import ConsoleOptions
from gym_hil.teleop import Device
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from gym_hil.wrappers.hil_wrappers import (
    EEActionWrapper,
    GripperPenaltyWrapper,
    InputsControlWrapper,
    ResetDelayWrapper,
)
from gym_hil.wrappers.intervention import SuccessHook
from gym_hil.wrappers.viewer_wrapper import PassiveViewerWrapper

TIME_TO_GET_READY = 1.0  # s after a reset, for an operator


class EEActionStepSize(TypedDict):
    """How far an action of 1 moves the end effector, in m."""

    x: float
    y: float
    z: float


def make_env(
    env_id: str,
    ee_step_size: EEActionStepSize | None = None,
    use_viewer: bool = False,
    use_gamepad: bool = False,
    use_gripper: bool = True,
    use_inputs_control: bool = False,
    auto_reset: bool = False,
    show_ui: bool = True,
    gripper_penalty: float | None = -0.02,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | PathLike[str] | None = None,
    *,
    device: str | Device | Sequence[str | Device] | None = None,
    intervention: str | None = None,
    device_options: dict[str, Any] | None = None,
    orientation: bool = False,
    success: SuccessHook | None = None,
    console: ConsoleOptions | None = None,
    time_limit: bool = True,
    **kwargs: Any,
) -> gym.Env[Any, Any]:
    """Make a task and wrap it for policies and people.

    `env_id` is a task with 7 numbers in its action, for example `gym_hil/PandaPickCubeBase-v0`, and `**kwargs` are for
    the task itself. All the others are those of `wrap_env`, which tells what they mean and raise, except one:
    `time_limit` says whether the episode is truncated after the number of steps that the id was registered with. The
    registered ids switch it off, because `gym.make` puts its own time limit outside.

    A time limit outside does not see a reset that happens inside: with `auto_reset=True` give `gym.make` also
    `max_episode_steps=-1`. The limit that the id was registered with is then kept inside.
    """
    own_limit = time_limit or auto_reset
    env = _make_task(env_id, own_limit, kwargs)
    return wrap_env(
        env,
        ee_step_size=ee_step_size,
        use_viewer=use_viewer,
        use_gamepad=use_gamepad,
        use_gripper=use_gripper,
        use_inputs_control=use_inputs_control,
        auto_reset=auto_reset,
        show_ui=show_ui,
        gripper_penalty=gripper_penalty,
        reset_delay_seconds=reset_delay_seconds,
        controller_config_path=controller_config_path,
        device=device,
        intervention=intervention,
        device_options=device_options,
        orientation=orientation,
        success=success,
        console=console,
    )


def wrap_env(
    env: gym.Env[Any, Any],
    ee_step_size: EEActionStepSize | None = None,
    use_viewer: bool = False,
    use_gamepad: bool = False,
    use_gripper: bool = True,
    use_inputs_control: bool = False,
    auto_reset: bool = False,
    show_ui: bool = True,
    gripper_penalty: float | None = -0.02,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | PathLike[str] | None = None,
    *,
    device: str | Device | Sequence[str | Device] | None = None,
    intervention: str | None = None,
    device_options: dict[str, Any] | None = None,
    orientation: bool = False,
    success: SuccessHook | None = None,
    console: ConsoleOptions | None = None,
) -> gym.Env[Any, Any]:
    """Wrap a task for policies and people.

    From the inside out: `GripperPenaltyWrapper`, `EEActionWrapper`, `InputsControlWrapper`, then `PassiveViewerWrapper`
    and `ResetDelayWrapper` where they are asked for. `ConsoleWrapper` comes before these two when the device "web" is
    among those that drive. Where there is no display and the extra `web` is installed, it stands in for the viewer, and
    for the window of `render_mode="human"`.

    Args:
        env: a task with 7 numbers in its action.
        ee_step_size: m along `x`, `y` and `z` that an action of 1 moves; 0.025 each if None.
        use_viewer: show the simulation in MuJoCo's viewer, or on the web console where there is no display.
        use_gamepad: a gamepad drives, if no `device` is given.
        use_gripper: the action has a number for the gripper.
        use_inputs_control: somebody drives: a gamepad with `use_gamepad`, else the keyboard, if no `device` is given.
        auto_reset: the end of an episode starts the next one at once.
        show_ui: open the viewer's panels.
        gripper_penalty: `discrete_penalty` in info of a step that tells the gripper to change over; None for none.
        reset_delay_seconds: s to wait after a reset; if None, 1 s where an operator drives and 0 s otherwise.
        controller_config_path: a mapping file of one's own, for gamepads.
        device: who drives: a device or its name, or several of these to be used together.
        intervention: `toggle`, `hold` or `auto`; None leaves the device's own, which is `toggle`.
        device_options: constructor arguments for devices given by name.
        orientation: the action has a rotation vector.
        success: takes the place of the task's own success; see `InputsControlWrapper`.
        console: how the web console is reached, where it is used; None for its defaults.

    Returns:
        The wrapped environment.

    Raises:
        ConfigurationError: an argument has a value that cannot work.
        UnknownDeviceError: no device has that name.
        MissingExtraError: the device "web" is asked for without its extra.
    """
    if gripper_penalty is not None:
        env = GripperPenaltyWrapper(env, penalty=gripper_penalty)
    env = EEActionWrapper(env, ee_step_size, use_gripper=use_gripper, orientation=orientation)
    no_window = (use_viewer or env.render_mode == "human") and display.uses_console()
    if console is not None:
        from gym_hil.console import get_console

        get_console(console)
    env = controlled = InputsControlWrapper(
        env,
        auto_reset=auto_reset,
        use_gamepad=use_gamepad if use_gamepad or use_inputs_control else None,
        controller_config_path=controller_config_path,
        device=device,
        intervention=intervention,
        device_options=device_options,
        success=success,
    )
    if no_window or (controlled.device is not None and controlled.device.on_page):
        env = ConsoleWrapper(env)
    if use_viewer and not no_window:
        env = PassiveViewerWrapper(env, show_left_ui=show_ui, show_right_ui=show_ui)
    if reset_delay_seconds is None:
        reset_delay_seconds = TIME_TO_GET_READY if controlled.device is not None and controlled.device.human else 0.0
    if reset_delay_seconds != 0:
        env = ResetDelayWrapper(env, reset_delay_seconds)
    return env


def make_viewer_env(env_id: str, show_ui: bool = True, *, time_limit: bool = True, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make a task with its own action of 7 numbers and MuJoCo's viewer beside it.

    Args:
        env_id: for example `gym_hil/PandaPickCubeBase-v0`.
        show_ui: open the viewer's panels.
        time_limit: see `make_env`.
        **kwargs: for the task itself.
    """
    env = _make_task(env_id, time_limit, kwargs)
    return PassiveViewerWrapper(env, show_left_ui=show_ui, show_right_ui=show_ui)


def _make_task(env_id: str, time_limit: bool, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    # A spec instead of an id: Gymnasium's remarks on old versions are then made once, about the id that was asked for.
    spec = gym.spec(env_id)
    return gym.make(spec, disable_env_checker=True, max_episode_steps=None if time_limit else -1, **kwargs)
