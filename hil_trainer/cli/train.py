"""Learn a task with the help of an operator."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from gym_hil.files import expand_path
from hil_trainer.agents.policy_file import NAME as POLICY_FILE
from hil_trainer.config import (
    CONFIG_FILE,
    LOCAL,
    ACFQLConfig,
    EnvConfig,
    OperatorConfig,
    RayConfig,
    TrainConfig,
    read_config,
)
from hil_trainer.config.defaults import default_algorithm, defaults
from hil_trainer.logging.plots import write_report
from hil_trainer.logging.status import TrainingStatus
from hil_trainer.train import Training

# Groups whose flags have no prefix, see `TrainConfig`.
_NO_PREFIX = {"env"}
# Settings that are given as --name or --no-name; all others have a value.
_FLAGS = {
    prefix + name
    for prefix, group in (
        *(("", TrainConfig), ("", EnvConfig)),
        *(("operator.", OperatorConfig), ("ray.", RayConfig), ("acfql.", ACFQLConfig)),
    )
    for name, kind in get_type_hints(group).items()
    if kind is bool
}
_LISTS = {"env_kwargs", "randomize"}  # settings with several values
_IMPLIED = {"--ray": LOCAL, "--orientation": "True"}  # what settings are that are given without a value
_NEGATED = {"--no-orientation": "--orientation=False"}


@dataclass(frozen=True)
class TrainArguments:
    """Arguments of `hil-trainer train`.

    Attributes:
        out: directory of the run.
        resume: continue the run in --out from its newest checkpoint. Settings given here replace its own.
        config: JSON file of settings, nested by group as in a run's config.json. Settings given on the command line
            replace them.
        verbose: also report checkpoints.
        settings: all other settings.
    """

    out: Path
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    config: Path | None = None
    verbose: tyro.conf.FlagCreatePairsOff[bool] = False
    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


def run_words(words: Sequence[str]) -> int:
    """Run `hil-trainer train`."""
    arguments = parse(words)
    config, out = arguments.settings, expand_path(arguments.out)
    training = Training(config, out, resume=arguments.resume, progress=TrainingStatus(verbose=arguments.verbose))
    try:
        if training.env.introduction:
            print(training.env.introduction, flush=True)
        outcome = training.run()
    finally:
        training.close()
        write_report(out)
    if outcome.stopped:
        if not (out / POLICY_FILE).is_file():
            print("there is no policy yet: the run was stopped before its first step of training")
        print(f"continue with: hil-trainer train --resume --out {arguments.out}")
        return 0
    if outcome.reached is None:
        print(f"the target of {config.evaluation.target:.0%} was not reached in {outcome.steps:,} steps")
    if outcome.final is not None:
        print(f"final evaluation, on held-out seeds: {outcome.final.successes} of {outcome.final.episodes}")
    print(f"policy, curves and video in {arguments.out}")
    return 0


def parse(words: Sequence[str]) -> TrainArguments:
    """Parse the arguments of `hil-trainer train`.

    Args:
        words: such as `["--out", "outputs/pick", "--task", "PandaPickCube-v1", "--agent.discount", "0.98"]`.

    Raises:
        ConfigurationError: a file or a value is not possible.
        SystemExit: a name or a value is not understood; the reason is printed.
    """
    given, files = _first_look(words), []
    if given.resume and given.out is not None:
        # A directory without a run is refused later.
        files = [path for path in [expand_path(given.out) / CONFIG_FILE] if path.is_file()]
    if given.config is not None:
        files.append(expand_path(given.config))
    words = [*itertools.chain.from_iterable(as_arguments(read_config(path)) for path in files), *_with_values(words)]
    given = _first_look(words)
    others = {name: getattr(given, name) for name in ("encoder", "operator", "demos", "steps", "ray")}
    algorithm = given.algorithm or _named(words) or default_algorithm(given.task, given.obs, **others)
    start = defaults(given.task, given.obs, algorithm)
    return tyro.cli(
        TrainArguments,
        args=words,
        default=TrainArguments(out=tyro.MISSING, settings=start),
        prog="hil-trainer train",
        description="Learn a task with the help of an operator. Ends when the target success rate is reached.",
    )


def as_arguments(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings as command line arguments, so that a file is parsed and refused exactly as those are."""
    words: list[str] = []
    for name, value in settings.items():
        option = f"--{prefix}{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            words += as_arguments(value, "" if name in _NO_PREFIX else f"{prefix}{name.replace('_', '-')}.")
        elif isinstance(value, bool) and prefix + name in _FLAGS:
            group, dot, flag = option[2:].rpartition(".")
            words.append(option if value else f"--{group}{dot}no-{flag}")
        elif name in _LISTS and isinstance(value, (list, tuple)):
            words += [option, *map(str, value)] if value else []
        else:
            words.append(f"{option}={value}")  # one word: a value may begin with a minus sign
    return words


def _with_values(words: Sequence[str]) -> list[str]:
    """Give settings a value that may stand without one."""
    following = [*words, "--"][1:]
    return [
        f"{word}={_IMPLIED[word]}" if word in _IMPLIED and after.startswith("-") else _NEGATED.get(word, word)
        for word, after in zip(words, following, strict=True)
    ]


def _first_look(words: Sequence[str]) -> argparse.Namespace:
    """The arguments on which the defaults of all others depend."""
    parser = argparse.ArgumentParser("hil-trainer train", add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", action="store_true")
    names = {"task": EnvConfig.task, "obs": EnvConfig.obs, "operator": OperatorConfig.device}
    aliases = {"task": ["--env"], "operator": ["--operator.device"]}
    parser.add_argument("--ray", "--ray.address", nargs="?", const=LOCAL)
    for name in ("out", "config", "algorithm", "encoder", "demos", "steps", *names):
        parser.add_argument(f"--{name}", *aliases.get(name, []), dest=name, default=names.get(name))
    found = parser.parse_known_args(words)[0]
    return argparse.Namespace(**{name: None if value == "None" else value for name, value in vars(found).items()})


def _named(words: Sequence[str]) -> str | None:
    """The algorithm of which a setting is given; None if there is none."""
    groups = {"--agent.": "sac", "--bc.": "bc", "--acfql.": "acfql", "--compile": "sac"}
    return next((name for word in words for group, name in groups.items() if word.startswith(group)), None)
