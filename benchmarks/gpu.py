"""Training on a GPU: updates beside the CPU's, and what is learned there in nine minutes.

python -m benchmarks.gpu [--minutes 8.5] [--device cuda]

It needs no network. Beside a torch that is built for the GPU it wants the wheels of `pip install
'gym-hil[train,imagenet]'`; what is missing is listed at the start. The page is `benchmarks/results/gpu.md`.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from benchmarks.report import RESULTS, machine, markdown

EXTRAS = ("train", "imagenet", "data")
_MIN_SECONDS = 20  # that are left for a training to begin


class Training(NamedTuple):
    """A kind of training."""

    what: str  # it is
    words: str  # of `hil-trainer train`
    seconds: float  # that it may take
    rate: float  # of success that it looks for


_IMAGENET = "--obs pixels --no-privileged --encoder imagenet"
TRAININGS = (
    Training("PickCube, state, sac", "--algorithm sac", 60, 0.99),
    Training("PickCube, images, sac", "--algorithm sac --obs pixels --target 0.95", 110, 0.95),
    Training("PickCube, images through the frozen encoder, bc", f"--algorithm bc {_IMAGENET} --target 0.95", 110, 0.95),
    Training("ArrangeBoxes, state, bc", "--algorithm bc --task PandaArrangeBoxes-v1 --target 0.98", 90, 0.98),
    Training("ArrangeBoxes, state, acfql", "--algorithm acfql --task PandaArrangeBoxes-v1 --target 0.98", 600, 0.98),
)
UPDATES = (
    *((one.what, one.words) for one in TRAININGS),
    ("PickCube, images, nothing privileged, sac", "--algorithm sac --obs pixels --no-privileged"),
    ("PickCube, images, bc", "--algorithm bc --obs pixels"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the page; exit status 2 where there is no GPU, or a wheel is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.5, help="after which no training goes on")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ...")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.md", help="page to write")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes
    if missing := missing_wheels():
        print(f"Missing beside torch: {', '.join(missing)}.", file=sys.stderr)
        return 2
    import torch

    if not torch.cuda.is_available():
        print(f"No GPU: torch {torch.__version__} finds no CUDA device here; nothing was measured.", file=sys.stderr)
        return 2
    card = f"{torch.cuda.get_device_name(options.device)}, CUDA {torch.version.cuda}, torch {torch.__version__}"
    updates = [update_row(what, words.split(), options.device) for what, words in UPDATES]
    trainings: list[list[str]] = []
    options.out.write_text(page(card, updates, trainings), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for number, training in enumerate(TRAININGS):
            seconds = min(training.seconds, end - time.monotonic())
            if seconds > _MIN_SECONDS:
                trainings.append(training_row(training, options.device, Path(folder) / str(number), seconds))
                print(*trainings[-1], sep=" | ", flush=True)
                options.out.write_text(page(card, updates, trainings), encoding="utf-8")
    print(f"wrote {options.out}")
    return 0


def missing_wheels() -> list[str]:
    """Requirements of the extras that are not installed."""
    wanted = [
        requirement
        for requirement in map(Requirement, importlib.metadata.requires("gym-hil") or ())
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS)
    ]
    installed = {distribution.name.lower().replace("_", "-") for distribution in importlib.metadata.distributions()}
    return [str(one) for one in wanted if one.name.lower().replace("_", "-") not in installed]


def update_row(what: str, words: list[str], device: str) -> list[str]:
    """Milliseconds of a step's updates on the CPU and on the GPU."""
    cpu, gpu = (time_updates(words, name) for name in ("cpu", device))
    row = [what, *(f"{number:.1f}" for number in (1000 * cpu, 1000 * gpu, cpu / gpu))]
    print(*row, sep=" | ", flush=True)
    return row


def time_updates(words: Sequence[str], device: str, *, seconds: float = 2.0, rows: int = 300) -> float:
    """Seconds of the updates of one environment step.

    Args:
        words: of `hil-trainer train`.
        device: to learn on.
        seconds: to measure for, at least.
        rows: transitions to draw from, with random contents.
    """
    import numpy as np

    from hil_trainer.cli.train import parse
    from hil_trainer.config import NO_OPERATOR
    from hil_trainer.data.transitions import DISCOUNT, IS_INTERVENTION, NUMBER, Rollout, RowFormat, Transitions
    from hil_trainer.learner.learner import Learner, LearnerSetup
    from hil_trainer.rollout.env import RolloutEnv

    config = parse([*words, "--out", "unused", "--device", device]).settings
    with contextlib.closing(RolloutEnv(config, operator=NO_OPERATOR)) as env:
        layout, actions = env.layout, env.actions
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (rows, RowFormat(layout, actions).width)).astype(np.float32)
    values[:, NUMBER], values[:, IS_INTERVENTION], values[:, DISCOUNT] = np.arange(rows), 1.0, 0.97
    images = None if layout.image_shape is None else rng.integers(0, 256, (rows, 2, *layout.image_shape), np.uint8)
    learner = Learner(LearnerSetup(config, layout, actions))
    learner.add(Rollout(Transitions(values, images), [], rows, 0, demonstration=True))
    learner.learn(3)
    learner.metrics()  # waits for the GPU
    start, steps = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds or steps < 5:
        learner.learn(1)
        learner.metrics()
        steps += 1
    return spent / steps


def training_row(training: Training, device: str, out: Path, seconds: float) -> list[str]:
    """Train for some time, and say what was reached."""
    from hil_trainer.logging.metrics import FILE, FULL, clock_time, first_reaching, read_metrics

    words = ["train", "--out", str(out), "--device", device, "--no-tensorboard", *training.words.split()]
    start = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "hil_trainer", *words], stdout=subprocess.DEVNULL) as process:
        try:
            status = f"ended with status {process.wait(seconds)}"
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            status = "was stopped"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
    rows = read_metrics(out) if (out / FILE).exists() else []  # none of a training that did not begin
    reached = first_reaching(rows, training.rate)
    when = "not reached" if reached is None else f"{clock_time(reached.seconds)}, {reached.operator_steps} steps driven"
    full = [row["successes"] for row in rows if row["kind"] == "evaluation" and row["episodes"] == FULL]
    taken, best = clock_time(time.monotonic() - start), max(full, default="-")
    return [training.what, f"{100 * training.rate:.0f} of 100: {when}", str(best), f"{status} after {taken}"]


def page(card: str, updates: Sequence[Sequence[str]], trainings: Sequence[Sequence[str]]) -> str:
    """The page of results."""
    return f"""# Results: gpu

Written by `python -m benchmarks.gpu`.

- GPU: {card}
- Machine: {machine().removesuffix(", no GPU used")}
- Python {platform.python_version()}, {datetime.date.today().isoformat()}

Updates of one environment step, in ms, of random transitions:

{markdown(("what", "CPU", "GPU", "times as fast"), updates)}
Trainings, with the environment and the scripted operator on the CPU:

{markdown(("what", "first evaluation with so many successes", "most successes of 100", ""), trainings)}"""


if __name__ == "__main__":
    sys.exit(main())
