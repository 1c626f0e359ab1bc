"""The words of `hil-trainer train`: each setting of `TrainConfig`, and a file of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from hil_trainer.config import CONFIG_FILE, TrainConfig, defaults, read_config


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
        words: such as `["--out", "outputs/pick", "--task", "PandaPickCube-v1", "--sac.discount", "0.98"]`.

    Raises:
        ConfigurationError: a file or a value cannot work.
        SystemExit: a name or a value is not understood; why is printed, as for every command line.
    """
    file = _value_of(words, "--config")
    if file is None and "--resume" in words and (out := _value_of(words, "--out")) is not None:
        file = str(Path(out) / CONFIG_FILE)
    words = [*as_arguments({} if file is None else read_config(Path(file))), *words]
    start = defaults(_value_of(words, "--task") or TrainConfig.task, _value_of(words, "--obs") or TrainConfig.obs)
    return tyro.cli(
        TrainArguments,
        args=words,
        default=TrainArguments(out=tyro.MISSING, settings=start),
        prog="hil-trainer train",
        description="Learn a task, with a person who helps. Stops by itself once the target success rate is reached.",
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
            words += as_arguments(value, f"{prefix}{name.replace('_', '-')}.")
        elif isinstance(value, bool):
            words.append(option if value else _negated(option))
        else:
            words += [option, str(value)]
    return words


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
