"""How hard the robot pushes, and whether it holds what it grips."""

from benchmarks import worker
from benchmarks.row import Row
from benchmarks.upstream import Worker

STEADY_N = 120.0
SLIP_MM, HELD_HEIGHT = 1.0, 0.1  # m, below which the cube has fallen
# Closed finger tips reach the floor before the target does; with open ones the target stops at the floor.
CASES = {"closed, from home": (True, 0.0), "closed, from 0.3 m higher": (True, 0.3), "open, from home": (False, 0.0)}


def floor_push(upstream: Worker | None = None, quick: bool = False) -> Row:
    """Driving down into the floor for 30 steps; forces are sampled at every physics step, in both packages."""
    own = {case: worker.push_floor(*setting) for case, setting in CASES.items()}
    theirs = {}
    if upstream:
        theirs = {case: upstream.call("push_floor", closed=c, height=h) for case, (c, h) in CASES.items()}
    parts = []
    for case, force in own.items():
        part = f"{case}: {force['steady']:.0f} N, peak {force['peak']:.0f} N"
        if theirs:
            part += f" (upstream {theirs[case]['steady']:.0f} N, peak {theirs[case]['peak']:.0f} N)"
        parts.append(part)
    steady = all(force["steady"] < STEADY_N for force in own.values())
    # Upstream's open gripper hardly touches the floor, so the closed one is what its impact is judged by.
    highest = max(force["peak"] for force in own.values())
    allowed = max((force["peak"] for force in theirs.values()), default=300.0)
    bar = f"steady under {STEADY_N:g} N, peak no higher than upstream's"
    return Row("Driving down into the floor for 30 steps", bar, "; ".join(parts), steady and highest <= allowed)


def hold(upstream: Worker | None = None, quick: bool = False) -> Row:
    """The gripped and lifted cube, held still."""
    seconds = 3 if quick else 30
    own = worker.hold_cube(seconds)
    measured = f"{own['slip']:.4f} mm"
    if upstream:
        measured += f" (upstream {upstream.call('hold_cube', seconds=seconds)['slip']:.4f} mm)"
    met = own["slip"] < SLIP_MM and own["height"] > HELD_HEIGHT
    return Row(f"Cube gripped, held {seconds} s", f"slips under {SLIP_MM:g} mm", measured, met)
