"""Run the benchmarks and write a page for each group of them to `benchmarks/results/`.

python -m benchmarks.run [GROUP...] [--quick] [--only NAME...]
"""

import argparse
import contextlib
import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import (
    console,
    environment,
    headset,
    inputs,
    operator_in_the_loop,
    ray_actors,
    recording,
    reward_classifier,
    vector,
)
from benchmarks.report import RESULTS, Row, page
from benchmarks.upstream import ONE_THREAD, Worker, WorkerError, ours, upstream

# Page of results -> what is measured for it, in one sitting.
GROUPS: dict[str, tuple[Callable[..., Row], ...]] = {
    "environment": (
        environment.state_step,
        environment.pixel_step,
        environment.views,
        environment.wrappers,
        environment.first_observation,
        environment.memory,
        environment.python_share,
        environment.recorded_motion,
        environment.command_response,
        environment.floor_push,
        environment.random_steps,
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
    ),
    "datasets": (
        recording.overhead_in_real_time,
        recording.overhead_flat_out,
        recording.images_kept,
        recording.killed_recorders,
    ),
    "trainer": (
        reward_classifier.reward_classifier,
        reward_classifier.reward_classifier_imagenet,
        ray_actors.actors_speed,
    ),
    "vector": (
        vector.vector_state,
        vector.vector_views,
        vector.vector_upstream_state,
        vector.vector_upstream_views,
        vector.vector_memory,
        vector.vector_python_share,
        vector.vector_equality,
        vector.vector_threads,
    ),
    "headset": (
        headset.headset_tasks,
        headset.headset_accuracy,
        headset.headset_radio,
        headset.headset_view,
    ),
    "operator_in_the_loop": (
        operator_in_the_loop.from_state,
        operator_in_the_loop.from_images,
    ),
}
BENCHMARKS = tuple(benchmark for group in GROUPS.values() for benchmark in group)


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
            path = RESULTS / f"{group}.md"
            path.write_text(page(group, rows, theirs=theirs, seconds=time.monotonic() - started), encoding="utf-8")
            print(f"wrote {path}")
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
            print(f"{row.measured} [{row.verdict}]", flush=True)
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


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    sys.exit(main())
