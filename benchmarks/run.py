"""Run the benchmarks and write a page for each group of them to `benchmarks/results/`.

python -m benchmarks.run [GROUP...] [--quick] [--only NAME...]
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import inspect
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    console,
    contact,
    endurance,
    fidelity,
    inputs,
    ray_actors,
    recording,
    resuming,
    reward_classifier,
    speed,
    startup,
    teleoperation,
)
from benchmarks.row import Row
from benchmarks.upstream import ONE_THREAD, Worker, WorkerError, ours, upstream

# Page of results -> what is measured for it, in one sitting.
GROUPS: dict[str, tuple[Callable[..., Row], ...]] = {
    "environment": (
        speed.state_step,
        speed.pixel_step,
        speed.views,
        startup.first_observation,
        startup.memory,
        fidelity.demonstrations,
        fidelity.free_motion,
        fidelity.command_response,
        fidelity.posture,
        fidelity.home_pose,
        contact.floor_push,
        contact.hold,
        endurance.random_steps,
    ),
    "operator": (
        console.console_publish,
        console.console_handled,
        console.console_server,
        console.console_input,
        console.console_lost,
        inputs.input_presses,
        inputs.input_reaction,
        inputs.input_replug,
        teleoperation.teleoperation,
    ),
    "datasets": (
        recording.overhead_in_real_time,
        recording.overhead_flat_out,
        recording.images_kept,
        recording.killed_recorders,
    ),
    "trainer": (
        resuming.resumed_runs,
        reward_classifier.reward_classifier,
        ray_actors.actors_speed,
        ray_actors.killed_actors,
    ),
}
BENCHMARKS = tuple(benchmark for group in GROUPS.values() for benchmark in group)
RESULTS = Path(__file__).with_name("results")
PACKAGES = ("mujoco", "gymnasium", "numpy", "numba")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (all)")
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that everything runs; writes nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[f.__name__ for f in BENCHMARKS])
    options = parser.parse_args(arguments)
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}; choose from {', '.join(GROUPS)}")

    missed = False
    for group in options.groups or GROUPS:
        chosen = [f for f in GROUPS[group] if not options.only or f.__name__ in options.only]
        started = time.monotonic()
        rows, theirs = run(chosen, quick=options.quick)
        missed |= any(row.met is False for row in rows)
        if not options.quick and not options.only:
            page = RESULTS / f"{group}.md"
            page.write_text(results(group, rows, theirs=theirs, seconds=time.monotonic() - started), encoding="utf-8")
            print(f"wrote {page}")
    return int(missed)


def run(benchmarks: Sequence[Callable[..., Row]], *, quick: bool) -> tuple[list[Row], str]:
    """Run benchmarks. Returns their rows and upstream's versions, in words; empty where it was not needed."""
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        theirs = ""
        if any("upstream" in inspect.signature(f).parameters for f in benchmarks):
            try:
                workers["upstream"] = stack.enter_context(upstream())
                versions = workers["upstream"].call("versions")
                theirs = ", ".join(f"{name} {version}" for name, version in versions.items())
            except WorkerError as error:
                theirs = "not measured"
                print(f"without upstream: {error}", file=sys.stderr)
            workers["ours"] = stack.enter_context(ours())
        rows = []
        for benchmark in benchmarks:
            print(f"{benchmark.__name__} ...", end=" ", flush=True)
            row = measure(benchmark, workers, quick=quick)
            print(f"{row.measured} [{_verdict(row)}]", flush=True)
            rows.append(row)
        return rows, theirs


def measure(benchmark: Callable[..., Row], workers: dict[str, Worker], *, quick: bool) -> Row:
    """Run one benchmark with the workers that it asks for."""
    parameters = inspect.signature(benchmark).parameters
    wanted = {name: workers.get(name) for name in ("upstream", "ours") if name in parameters}
    missing = [name for name, worker in wanted.items() if worker is None]
    if missing and any(parameters[name].default is inspect.Parameter.empty for name in missing):
        return Row(benchmark.__doc__.splitlines()[0], "beside upstream", "upstream could not be run here", None)
    return benchmark(**wanted, quick=quick)


def results(group: str, rows: Sequence[Row], *, theirs: str, seconds: float) -> str:
    """The page of a group: the machine's description and the table."""
    table = "\n".join(f"| {row.what} | {row.bar} | {row.measured} | {_verdict(row)} |" for row in rows)
    upstream_line = f"\n- Upstream, in a virtual environment of its own, in turns: {theirs}" if theirs else ""
    return f"""# Results: {group}

Written by `make bench GROUPS={group}`. One thread a process.

- Machine: {machine()}
- Here: {", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("gym-hil", *PACKAGES))}, Python \
{platform.python_version()}{upstream_line}
- Date: {datetime.date.today().isoformat()}, {seconds / 60:.0f} minutes

| what | bar | measured | met |
|---|---|---|---|
{table}
"""


def machine() -> str:
    """Processor, cores, memory and system in a line."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, no GPU used"
    return f"{platform.processor()}, {os.cpu_count()} cores, {platform.system()}, no GPU used"


def _verdict(row: Row) -> str:
    return {True: "yes", False: "**no**", None: "not measured"}[row.met]


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    sys.exit(main())
