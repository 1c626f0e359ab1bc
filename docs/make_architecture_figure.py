"""Draw docs/images/architecture.svg: the rooms of both packages, and which room imports which.

python docs/make_architecture_figure.py [--check]

Reads the imports from the sources. An arrow that follows from others is left out, and so are the arrows to the rooms
that everything may import. With --check nothing is written; the exit status is 1 if the figure is out of date.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "images" / "architecture.svg"

# Room -> what is in it. A room is a folder of a package, or a module beside the folders.
CAPTIONS = {
    "gym_hil": {
        "cli": "the command gym-hil",
        "env_options": "any environment by its id",
        "registration": "ids: task, version, control",
        "datasets": "record, read, replay",
        "policies": "policies of any origin",
        "wrappers": "who acts, reward, viewer",
        "envs": "the tasks",
        "scene": "floor, lights, cameras",
        "robot": "the Panda and its gripper",
        "rendering": "images without OpenGL",
        "console": "the web page",
        "teleop": "input devices",
    },
    "hil_trainer": {
        "cli": "the command hil-trainer",
        "train": "the whole training loop",
        "learner": "updates, processes, Ray",
        "rollout": "acting and evaluating",
        "agents": "algorithms and networks",
        "data": "buffers, demonstrations",
        "pretrained": "trained policies by name",
        "reward_classifier": "success from images",
        "config": "the settings",
        "logging": "metrics, plots, videos",
    },
}
SHARED = {
    "gym_hil": ["errors", "files", "imports", "display", "pacing", "rotations", "status", "command_line"],
    "hil_trainer": ["errors", "checkpoints", "child_process"],
}
BY_NAME = {"registration": {"wrappers"}}  # registered with Gymnasium, which imports them
ENTRANCES = {"__init__", "__main__"}

WIDTH, HEIGHT, GAP_X, GAP_Y = 168, 52, 22, 46  # px, of a room and between rooms
MARGIN, TITLE = 24, 44
TOTAL = 860  # px, width of the figure
COLOURS = {"gym_hil": ("#e8f1fb", "#1f5fa8"), "hil_trainer": ("#fdf0e3", "#a85a12")}


def room_of(module: str) -> str:
    """The room that a module of a package is in."""
    return [*module.split("."), "__init__"][1]


def imported_rooms(package: str) -> dict[str, set[str]]:
    """Room -> the rooms of the same package that its files import."""
    rooms: dict[str, set[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        room = path.relative_to(ROOT / package).with_suffix("").parts[0]
        found = rooms.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {room_of(name) for name in names if name.startswith(f"{package}.")}
    for room, targets in BY_NAME.items():
        if room in rooms:
            rooms[room] |= targets
    return rooms


def reduce(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph without edges that follow from others."""

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            room = waiting.pop()
            if room not in found:
                found.add(room)
                waiting += graph[room]
        return found

    return {
        room: {target for target in targets if not any(target in reachable(other) for other in targets - {target})}
        for room, targets in graph.items()
    }


def layers(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Rooms by the length of the longest way down, the lowest first."""
    depth: dict[str, int] = {}

    def measure(room: str, above: tuple[str, ...] = ()) -> int:
        assert room not in above, f"{' -> '.join([*above, room])} is a circle"
        if room not in depth:
            depth[room] = 1 + max((measure(target, (*above, room)) for target in graph[room]), default=-1)
        return depth[room]

    for room in graph:
        measure(room)
    return [[room for room in graph if depth[room] == level] for level in range(max(depth.values()) + 1)]


def draw_package(package: str, top: float) -> tuple[list[str], float]:
    """SVG elements of a package whose upper edge is at `top`, and its height."""
    captions = CAPTIONS[package]
    found = imported_rooms(package)
    unknown = set(found) - set(captions) - set(SHARED[package]) - ENTRANCES
    assert not unknown, f"give captions to the rooms {sorted(unknown)} of {package}"
    graph = {room: (found[room] & set(captions)) - {room} for room in captions}
    rows = layers(graph)
    graph = reduce(graph)
    height = TITLE + len(rows) * (HEIGHT + GAP_Y) + HEIGHT
    fill, stroke = COLOURS[package]
    at: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        # A room stands above what it imports.
        row.sort(key=lambda room: sum(at[target][0] for target in graph[room]) / max(len(graph[room]), 1))
        y = top + TITLE + (len(rows) - 1 - level) * (HEIGHT + GAP_Y)
        start = (TOTAL - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        for column, room in enumerate(row):
            at[room] = (start + column * (WIDTH + GAP_X), y)
    parts = [f'<text x="{TOTAL / 2:g}" y="{top + 26:g}" class="title" fill="{stroke}">{package}</text>']
    for room, targets in graph.items():
        for target in sorted(targets):
            (x, y), (to_x, to_y) = at[room], at[target]
            x, y, to_x, to_y = x + WIDTH / 2, y + HEIGHT, to_x + WIDTH / 2, to_y - 3
            x += max(-16, min(16, to_x - x))
            # Arrows arrive on the side that they come from.
            to_x += max(-0.3 * WIDTH, min(0.3 * WIDTH, 0.15 * (x - to_x)))
            turn, bend = to_y - GAP_Y, GAP_Y / 2  # a long arrow goes straight down, and turns above its target
            parts.append(
                f'<path class="arrow" d="M{x:g},{y:g} V{turn:g} '
                f'C{x:g},{turn + bend:g} {to_x:g},{to_y - bend:g} {to_x:g},{to_y:g}" '
                f'stroke="{stroke}" marker-end="url(#{package})"/>'
            )
    for room, (x, y) in at.items():
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" fill="{fill}" stroke="{stroke}"/>')
        parts.append(f'<text x="{x + WIDTH / 2:g}" y="{y + 22:g}" class="room">{room}</text>')
        parts.append(f'<text x="{x + WIDTH / 2:g}" y="{y + 40:g}" class="what">{escape(captions[room])}</text>')
    y = top + height - HEIGHT - 8
    parts.append(
        f'<rect x="{MARGIN}" y="{y:g}" width="{TOTAL - 2 * MARGIN}" height="{HEIGHT - 12}" fill="none" '
        f'stroke="{stroke}" stroke-dasharray="4 3"/>'
    )
    parts.append(
        f'<text x="{TOTAL / 2:g}" y="{y + 25:g}" class="what">imported by any room: {", ".join(SHARED[package])}</text>'
    )
    return parts, height


def draw() -> str:
    """The figure as SVG."""
    upper, middle = draw_package("hil_trainer", 0)
    lower, height = draw_package("gym_hil", middle)
    markers = "".join(
        f'<marker id="{package}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{stroke}"/></marker>'
        for package, (_, stroke) in COLOURS.items()
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {TOTAL} {middle + height:g}" width="{TOTAL}" '
            f'height="{middle + height:g}" font-family="Helvetica, Arial, sans-serif">',
            "<style>text{text-anchor:middle;fill:#1b2530}.title{font-size:18px;font-weight:bold}"
            ".room{font-size:15px;font-weight:bold}.what{font-size:12px;fill:#4a5866}"
            "rect{rx:7}.arrow{fill:none;stroke-width:1.4}</style>",
            f"<defs>{markers}</defs>",
            '<rect width="100%" height="100%" fill="#ffffff" stroke="none"/>',
            *upper,
            f'<line x1="{MARGIN}" y1="{middle:g}" x2="{TOTAL - MARGIN}" y2="{middle:g}" stroke="#c4ccd4"/>',
            f'<text x="{TOTAL - MARGIN}" y="{middle - 8:g}" class="what" style="text-anchor:end">'
            "hil_trainer imports gym_hil, never the other way round</text>",
            *lower,
            "</svg>\n",
        ]
    )


def main() -> int:
    figure = draw()
    if "--check" in sys.argv[1:]:
        return int(not FIGURE.exists() or FIGURE.read_text(encoding="utf-8") != figure)
    FIGURE.write_text(figure, encoding="utf-8")
    print(f"wrote {FIGURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
