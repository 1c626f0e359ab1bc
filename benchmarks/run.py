"""Run the benchmarks and write a page for each group of them to `benchmarks/results/`.

python -m benchmarks.run [GROUP...] [--quick] [--only NAME...]
"""

import argparse
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
from benchmarks.report import ONE_THREAD, RESULTS, Row, page
from benchmarks.upstream import NoUpstreamError, upstream

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
        headset.headset_view_empty,
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
        rows = [run(benchmark, quick=options.quick) for benchmark in chosen]
        missed |= any(row.met is False for row in rows)
        if not options.quick and not options.only:
            facts = [f"{(time.monotonic() - started) / 60:.0f} minutes"]
            if upstream.cache_info().currsize:
                versions = ", ".join(map(" ".join, upstream().call("versions").items()))
                facts.append(f"Upstream, in a virtual environment of its own, in turns: {versions}")
            path = RESULTS / f"{group}.md"
            text = page(group, rows, command=f"make bench GROUPS={group}", facts=facts)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return int(missed)


def run(benchmark: Callable[..., Row], *, quick: bool) -> Row:
    """Run one benchmark; what needs upstream is not measured where that cannot be run."""
    print(f"{benchmark.__name__} ...", end=" ", flush=True)
    try:
        row = benchmark(quick=quick)
    except NoUpstreamError as error:
        row = Row(str(benchmark.__doc__).splitlines()[0], "beside upstream", str(error), None)
    print(f"{row.measured} [{row.verdict}]", flush=True)
    return row


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    sys.exit(main())
