"""Arguments that several commands share: paths, the operator, the web console; and files that commands write."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym

from gym_hil.display import ConsoleOptions
from gym_hil.env_options import EnvOptions, parse_kwargs, with_randomize
from gym_hil.errors import ConfigurationError, check
from gym_hil.files import atomic_write, expand_path, writing
from gym_hil.policies import LoadedPolicy, load_policy
from gym_hil.registration import find_task
from gym_hil.teleop import MODES
from gym_hil.teleop.operator import AUTO, OperatorOptions, operator_choices

NONE = "none"  # as the device: no operator, the policy alone


def path_argument(text: str) -> Path:
    """A path, for `add_argument(type=path_argument)`. `~` is expanded, which shells leave alone in `--root=~/data`."""
    try:
        return expand_path(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_env_arguments(parser: argparse.ArgumentParser, *, time_limit: bool = True) -> None:
    """Declare the arguments about the environment, for `env_options`; `time_limit` if its episodes may have one."""
    group = parser.add_argument_group("environment")
    which = group.add_mutually_exclusive_group()
    add_task_argument(which)
    which.add_argument(
        "--env",
        metavar="ID",
        help="id of any Gymnasium environment in place of a task, or MODULE:ID to import its module first, see "
        "docs/your_environment.md",
    )
    add_env_kwargs_argument(group)
    add_randomize_argument(group)
    group.add_argument(
        "--action-map",
        metavar="MAP",
        help="which numbers of the action the operator moves, such as x=0,y=1,z=2,gripper=-3, or MODULE:FUNCTION "
        "(default: guessed from 3, 4, 6 or 7 numbers)",
    )
    group.add_argument(
        "--success",
        metavar="MODULE:FUNCTION",
        help="function of an observation and info that says whether the task is done, in place of the environment's "
        "own success; `info` lets that end the episode",
    )
    group.add_argument(
        "--fps", type=float, metavar="N", help="steps per second of an environment that does not say it (default: 10)"
    )
    if time_limit:
        group.add_argument(
            "--max-episode-steps",
            type=int,
            metavar="N",
            help="steps after which an episode ends, -1 for no limit (default: the environment's own limit)",
        )


def add_randomize_argument(parser: argparse._ActionsContainer) -> None:
    """Declare what of a task is drawn anew at each reset, for `parse_randomize`."""
    parser.add_argument(
        "--randomize",
        nargs="+",
        metavar="RANGES",
        help="what varies between the episodes of a task: light, full, or NAME=LOW,HIGH for names of "
        "docs/randomization.md (default: nothing)",
    )


def env_options(arguments: argparse.Namespace) -> EnvOptions:
    """The environment of `add_env_arguments`; a ConfigurationError if there is no such task, or a value is wrong."""
    if arguments.env is None:
        find_task(arguments.task)
    return EnvOptions(
        id=arguments.task if arguments.env is None else arguments.env,
        kwargs=with_randomize(parse_kwargs(arguments.env_kwargs), arguments.randomize),
        action_map=arguments.action_map,
        max_episode_steps=getattr(arguments, "max_episode_steps", -1),
        success=arguments.success,
        fps=arguments.fps,
    )


def add_force_torque_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument about the force/torque sensor, for `force_torque_kwargs`."""
    parser.add_argument(
        "--force-torque",
        action="store_true",
        help="also observe force and torque at the wrist; where there is a page, it plots them",
    )


def force_torque_kwargs(arguments: argparse.Namespace, options: EnvOptions) -> dict[str, Any]:
    """The task's arguments that `--force-torque` means; a ConfigurationError if it is none of this package."""
    check_task(options, "--force-torque is", arguments.force_torque)
    return {"force_torque_obs": True} if arguments.force_torque else {}


def check_task(
    options: EnvOptions, flags: str, given: Any, advice: str = "choose what {id} observes with --env-kwargs"
) -> None:
    """Refuse flags that were given for an environment that is no task of this package; `{id}` in advice is its id."""
    if given and not options.is_task():
        raise ConfigurationError(f"{flags} for tasks of gym_hil; {advice.format(id=options.id)}.")


def add_policy_arguments(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare the arguments about the policy, for `read_policy`."""
    parser.add_argument(
        "--policy",
        required=required,
        metavar="POLICY",
        help="policy that acts: a folder saved by LeRobot, a run of hil-trainer, a name that `hil-trainer policies` "
        "lists, or MODULE:FUNCTION, which is called with the environment and returns a function of the observation; "
        "see docs/policies.md",
    )


def read_policy(arguments: argparse.Namespace, env: gym.Env[Any, Any]) -> LoadedPolicy | None:
    """The policy that the arguments name, for an environment; None if they name none. Errors: `load_policy`."""
    if arguments.policy is None:
        return None
    policy = load_policy(arguments.policy, env, state_key=getattr(arguments, "state_key", None))
    if getattr(arguments, "ask", False):
        policy.let_ask()
    return policy


def check_at_least(arguments: argparse.Namespace, **minimums: int) -> None:
    """Make sure that numbers that were given are not smaller; else a ConfigurationError."""
    for name, minimum in minimums.items():
        value = getattr(arguments, name)
        fits = value is None or value >= minimum
        check(fits, f"--{name.replace('_', '-')}", value, f"{minimum} or more")


def add_task_argument(parser: argparse._ActionsContainer) -> None:
    """Declare which task."""
    parser.add_argument("--task", default="PandaPickCube", help="task, with or without version (default: %(default)s)")


def add_env_kwargs_argument(parser: argparse._ActionsContainer, what: str = "arguments of the environment") -> None:
    """Declare arguments of the environment, for `parse_kwargs`."""
    parser.add_argument(
        "--env-kwargs",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"{what}; a value is a Python literal, or else text",
    )


def add_state_key_argument(parser: argparse.ArgumentParser) -> None:
    """Declare which part of the observation is called `observation.state`."""
    parser.add_argument(
        "--state-key",
        metavar="KEY",
        help="part of the observation that datasets and LeRobot's policies call observation.state (default: agent_pos, "
        "observation, state, or the only vector)",
    )


def add_operator_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments about who drives, for `operator_options`."""
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help=f"what the operator drives with: {', '.join(operator_choices())}, or MODULE:FUNCTION for a device of "
        f"yours; {NONE} leaves a policy alone. Several devices share the robot; separate them by commas, or repeat "
        f"--device (default: {AUTO})",
    )
    parser.add_argument(
        "--intervention",
        choices=list(MODES),
        help="when the operator drives, see docs/operating.md (default: the device's own, mostly toggle)",
    )
    parser.add_argument(
        "--orientation",
        action=argparse.BooleanOptionalAction,
        help="let the operator turn the gripper as well (default: where the task needs it)",
    )
    parser.add_argument(
        "--controller-config",
        type=path_argument,
        metavar="FILE",
        help="JSON file with your own mapping of a gamepad, see docs/devices.md",
    )
    parser.add_argument("--no-viewer", action="store_true", help="open no window and no web console to watch the robot")
    add_console_arguments(parser)


def operator_options(arguments: argparse.Namespace) -> OperatorOptions:
    """The operator of `add_operator_arguments`; a ConfigurationError if nothing would drive."""
    alone = arguments.device == [NONE]
    if alone and getattr(arguments, "policy", None) is None:
        raise ConfigurationError(f"--device {NONE} is for a policy that acts alone, which needs --policy.")
    return OperatorOptions(
        device=None if alone else tuple(arguments.device or [AUTO]),
        intervention=arguments.intervention,
        orientation=arguments.orientation,
        controller_config=arguments.controller_config,
        viewer=False if arguments.no_viewer else None,
        console=console_options(arguments),
    )


def add_console_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments about the web console, for `console_options`."""
    console = parser.add_argument_group("web console")
    console.add_argument("--host", help="address to listen at (default: 127.0.0.1, this machine alone)")
    console.add_argument("--port", type=int, help="port to listen at (default: the first free one from 8850)")
    console.add_argument(
        "--allow-remote", action="store_true", default=None, help="let other machines connect; needs --tls"
    )
    console.add_argument(
        "--tls", action="store_true", default=None, help="encrypt connections, with a certificate made on first use"
    )
    console.add_argument(
        "--public-url", metavar="URL", help="address that browsers use when a reverse proxy stands before the console"
    )


def console_options(arguments: argparse.Namespace) -> ConsoleOptions:
    """The console options that were given to `add_console_arguments`."""
    return ConsoleOptions(**{field.name: getattr(arguments, field.name) for field in fields(ConsoleOptions)})


def check_output(path: Path, *, overwrite: bool) -> None:
    """Make sure that a file can be written later, and create its folder; else a ConfigurationError."""
    if path.exists() and not overwrite:
        raise ConfigurationError(f"{path} exists already; give --overwrite to replace it.")
    with writing(path, ConfigurationError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def write_output(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, and its folder where that is missing; else a ConfigurationError."""
    content = text.encode()
    with writing(path, ConfigurationError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
