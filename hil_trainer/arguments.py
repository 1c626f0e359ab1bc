"""The words of `hil-trainer train`: each setting of `TrainConfig`, and a file of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from hil_trainer.config import CONFIG_FILE, LOCAL, EnvConfig, RayConfig, TrainConfig, defaults, read_config

# Groups whose flags have no prefix, see `TrainConfig`.
_NO_PREFIX = {"env"}
# What is said as --name or --no-name. Everything else has a value.
_FLAGS = {
    prefix + name
    for prefix, group in (("", TrainConfig), ("", EnvConfig), ("ray.", RayConfig))
    for name, kind in get_type_hints(group).items()
    if kind is bool
}


@dataclass(frozen=True)
class TrainArguments:
    """What `hil-trainer train` is told.

    Attributes:
        out: directory of the run.
        resume: go on with the run in `out` from its newest checkpoint. Settings given here replace those of then.
        config: a JSON file of settings. Those given on the command line replace them.
        verbose: tell about checkpoints too.
        settings: everything else.
    """

    out: Path
    resume: bool = False
    config: Path | None = None
    verbose: bool = False
    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


def parse(words: Sequence[str]) -> TrainArguments:
    """Understand the words of `hil-trainer train`.

    Args:
        words: such as `["--out", "outputs/pick", "--task", "PandaPickCube-v1", "--agent.discount", "0.98"]`.

    Raises:
        ConfigurationError: a file or a value cannot work.
        SystemExit: a name or a value is not understood; why is printed, as for every command line.
    """
    files = []
    if "--resume" in words and (out := _value_of(words, "--out")) is not None:
        # A directory without is refused later, when it is clear that no run is there.
        files = [path for path in [Path(out) / CONFIG_FILE] if path.is_file()]
    if (file := _value_of(words, "--config")) is not None:
        files.append(Path(file))
    words = [*itertools.chain.from_iterable(as_arguments(read_config(path)) for path in files), *_with_address(words)]
    start = defaults(_value_of(words, "--task") or EnvConfig.task, _value_of(words, "--obs") or EnvConfig.obs)
    return tyro.cli(
        TrainArguments,
        args=words,
        default=TrainArguments(out=tyro.MISSING, settings=start),
        prog="hil-trainer train",
        description="Learn a task, with an operator who helps. Stops once the target success rate is reached.",
    )


def as_arguments(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings as the command line says them, so that a file is understood and refused exactly as that is.

    Args:
        settings: name -> value; groups of settings are mappings.
        prefix: of the names.
    """
    words: list[str] = []
    for name, value in settings.items():
        option = f"--{prefix}{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            words += as_arguments(value, "" if name in _NO_PREFIX else f"{prefix}{name.replace('_', '-')}.")
        elif isinstance(value, bool) and prefix + name in _FLAGS:
            words.append(option if value else _negated(option))
        else:
            words.append(f"{option}={value}")  # in one word, so that a minus sign begins no option
    return words


def _with_address(words: Sequence[str]) -> list[str]:
    """`--ray` alone means a Ray on this machine."""
    following = [*words, "--"][1:]
    return [
        f"--ray={LOCAL}" if word == "--ray" and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _negated(option: str) -> str:
    group, dot, name = option[2:].rpartition(".")
    return f"--{group}{dot}no-{name}"


def _value_of(words: Sequence[str], option: str) -> str | None:
    """What the last mention of an option says."""
    found = None
    for number, word in enumerate(words):
        if word == option and number + 1 < len(words):
            found = words[number + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found
