"""Draws docs/images/headset-buttons.svg: what each button of a headset's controllers does, from the device's legend.

Run it from the repository's top: python docs/make_headset_figure.py
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from gym_hil.console.headset import CONTROLS
from gym_hil.teleop import Button

TARGET = Path(__file__).parent / "images" / "headset-buttons.svg"
WIDTH, HEIGHT = 1000, 470  # px
# Control in the legend -> where it is on the right controller (px), and where its text stands.
PLACES = {
    "squeeze (grip)": ((432, 306), "left", 306),
    "trigger": ((440, 176), "left", 176),
    "stick forward or back": ((478, 168), "left", 98),
    "press the stick": ((494, 180), "right", 98),
    "stick left or right": ((514, 182), "right", 172),
    "B or Y": ((558, 198), "right", 230),
    "B or Y, while stopped": ((558, 198), "right", 288),
    "A or X": ((542, 234), "right", 346),
    "A or X, while stopped": ((542, 234), "right", 404),
    "squeeze the other hand too": ((432, 332), "left", 378),
}
COLOURS = {
    "line": "#8a97a6",
    "body": "#dfe5ec",
    "edge": "#5d6b7a",
    "text": "#17202a",
    "what": "#2563c9",
    "button": "#ffffff",
}


def main() -> None:
    """Draw the controller and a line to each control."""
    parts = [_controller(), *(_callout(control, meaning) for control, meaning in CONTROLS.items())]
    font = "font-family='system-ui, -apple-system, Segoe UI, Roboto, sans-serif'"
    TARGET.write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' {font} role='img' "
        "aria-label='What each button of a controller does'>\n"
        f"<rect width='{WIDTH}' height='{HEIGHT}' rx='16' fill='#f6f8fa'/>\n"
        f"<text x='{WIDTH / 2}' y='46' text-anchor='middle' font-size='22' font-weight='700' fill='{COLOURS['text']}'>"
        "Either controller drives: the one that squeezes</text>\n" + "\n".join(parts) + "\n</svg>\n",
        encoding="utf-8",
    )


def _controller() -> str:
    """A controller of the right hand, seen from the thumb."""
    edge, body, button = (COLOURS[name] for name in ("edge", "body", "button"))
    line = f"stroke='{edge}' stroke-width='2.5'"
    return (
        f"<path d='M452 160 C440 158 428 166 430 182 C432 194 444 198 452 196 Z' fill='{body}' {line}/>"
        f"<path d='M452 150 C452 120 500 108 534 126 C580 150 584 222 552 248 C540 258 536 276 532 300 L512 402 "
        f"C506 432 458 428 454 396 L446 262 C444 222 444 186 452 150 Z' fill='{body}' {line}/>"
        f"<path d='M448 282 C432 284 424 298 426 318 C428 336 438 344 451 342 Z' fill='{body}' {line}/>"
        f"<circle cx='494' cy='180' r='25' fill='{button}' {line}/>"
        f"<circle cx='494' cy='180' r='14' fill='{body}' {line}/>"
        + "".join(
            f"<circle cx='{x}' cy='{y}' r='14' fill='{button}' {line}/>"
            f"<text x='{x}' y='{y + 5}' text-anchor='middle' font-size='14' fill='{edge}'>{name}</text>"
            for x, y, name in ((545, 192, "B"), (530, 226, "A"))
        )
    )


def _callout(control: str, meaning: Button | str) -> str:
    action = meaning.value if isinstance(meaning, Button) else meaning
    (x, y), side, height = PLACES[control]
    start, anchor, way = (330, "end", 1) if side == "left" else (670, "start", -1)
    text = (
        f"<text x='{start}' y='{height - 2}' text-anchor='{anchor}' font-size='17' font-weight='700' "
        f"fill='{COLOURS['what']}'>{escape(control)}</text>"
    )
    for number, line in enumerate(_wrap(action, 36)):
        text += (
            f"<text x='{start}' y='{height + 18 + 18 * number}' text-anchor='{anchor}' font-size='15' "
            f"fill='{COLOURS['text']}'>{escape(line)}</text>"
        )
    points = f"{start + 10 * way},{height - 8} {start + 40 * way},{height - 8} {x},{y}"
    return (
        f"<polyline points='{points}' fill='none' stroke='{COLOURS['line']}' stroke-width='1.5'/>"
        f"<circle cx='{x}' cy='{y}' r='4' fill='{COLOURS['what']}'/>{text}"
    )


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    main()
