"""A human at the page: `hil-trainer train` with a simulated one, who looks and presses keys in a real browser.

The human sees what the page shows, some 250 ms late, and does nothing but press keys: demonstrates, then helps when the
policy asks. Time is real, 10 steps a second. The policy imitates by chunks.
"""

import contextlib
import importlib.util
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import Row
from hil_trainer.logging.metrics import clock_time, final_evaluation, read_metrics

REACTION, SPREAD = 0.25, 0.05  # s from what is seen to the key, mean and standard deviation
LOOK = 0.03  # s between two looks at the page
STEP, STEP_SECONDS = 0.025, 0.1  # m and s, one step at full speed
NEAR = 0.014  # m, where one more step would not bring the tool nearer
ABOVE, LIFTED = 0.1, 0.25  # m, height of the tool while it goes to the cube, and in the end
GRIP_SECONDS = 0.5  # that the key of the gripper is held
DRAW_MS = 100  # between two drawings of the page, whose processor also trains
TARGET = 0.95
BARS = {"state": 4.0, "pixels": 10.0}  # minutes of wall time
ARGUMENTS = {
    "state": ["--demos", "7"],
    "pixels": ["--demos", "20", "--obs", "pixels", "--no-privileged", "--encoder", "imagenet"],
}
BROWSER = ["--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SLOW_DRAWING = f"""
const draw = requestAnimationFrame;
window.requestAnimationFrame = (step) => setTimeout(() => draw(step), {DRAW_MS});
"""
# What is on the page: poses of the scene, and what it says about the episode.
SEE = """
import("/static/main.js").then(({ page }) => {
  const { frame, description, session, bindings } = page;
  if (!frame || !description || frame.revision !== description.revision) return null;
  const body = description.bodies.findIndex((name) => /cube|block/.test(name));
  return {
    cube: [...frame.poses.slice(7 * body, 7 * body + 3)], target: frame.status.target, gripper: frame.status.gripper,
    episode: frame.status.episode, step: frame.status.step, done: frame.status.success,
    driver: document.body.dataset.driver, says: document.getElementById("driver-does").textContent,
    phase: session?.phase ?? null, keys: bindings.keys,
  };
})
"""


class Sight(NamedTuple):
    """What the page showed at some time, in s."""

    time: float
    shown: dict[str, Any]


class Human:
    """Looks at a page and presses its keys, as late as a human does.

    Args:
        page: Playwright's, of the console.
        seed: of the reaction times.
    """

    def __init__(self, page: Any, seed: int):
        self._page, self._rng = page, random.Random(seed)
        self._seen: deque[Sight] = deque()
        self._held: dict[str, float] = {}  # button -> when its key went down
        self._moves: deque[tuple[float, float, str]] = deque()  # keys that were held: from when to when, and the button
        self._keys: dict[str, str] = {}
        self._gripped_at: float | None = None  # when the gripper was told to close in this episode
        self._busy_until = 0.0
        self._draw_reaction()

    def act(self) -> None:
        """Look once, and do what seems right."""
        now = time.monotonic()
        shown = self._page.evaluate(SEE)
        if shown is not None and shown["target"] is not None:
            self._keys = {button: code for code, button in reversed(shown["keys"].items())}
            self._seen.append(Sight(now, shown))
        while len(self._seen) > 1 and self._seen[1].time <= now - self._reaction:
            self._seen.popleft()
        if not self._seen or self._seen[0].time > now - self._reaction or now < self._busy_until:
            return
        seen = self._seen[0]
        asked = seen.shown["driver"] == "policy" and seen.shown["says"] == "asks for help"
        begins = seen.shown["phase"] == "ready"
        if seen.shown["driver"] == "you" and not seen.shown["done"]:
            self._drive(seen)
            return
        self._hold(set())
        self._gripped_at = None
        if begins or asked:
            self._tap("INTERVENE")
            if begins:
                self._tap("FORWARD")  # the first motion starts the episode
            self._busy_until = time.monotonic() + 2 * REACTION  # until the effect is seen

    def _drive(self, seen: Sight) -> None:
        """Hold the keys that bring the tool to the cube, grip it, and lift it."""
        shown = seen.shown
        target = [value + moved for value, moved in zip(shown["target"], self._moved_since(seen.time), strict=True)]
        x, y, z = (goal - value for goal, value in zip(shown["cube"], target, strict=True))
        if self._gripped_at is not None:
            since = time.monotonic() - self._gripped_at
            if since > 3 * GRIP_SECONDS and shown["cube"][2] < 0.04 and target[2] > ABOVE:
                self._gripped_at = None  # it has slipped
                return
            self._hold({"CLOSE"} if since < GRIP_SECONDS else {"UP"} if target[2] < LIFTED else set())
            return
        if shown["gripper"] > 0.3:
            self._hold({"OPEN"})
            return
        over = max(abs(x), abs(y)) < STEP
        z = z if over else ABOVE - target[2]
        errors = {("FORWARD", "BACK"): x, ("LEFT", "RIGHT"): y, ("UP", "DOWN"): z}
        keys = {pair[error < 0] for pair, error in errors.items() if abs(error) > NEAR}
        if not keys and over:
            self._gripped_at = time.monotonic()
            keys = {"CLOSE"}
        self._hold(keys)

    def _moved_since(self, since: float) -> tuple[float, float, float]:
        """How far the keys have moved the target since a time, as a human knows without looking."""
        now = time.monotonic()
        moved = {"FORWARD": 0.0, "BACK": 0.0, "LEFT": 0.0, "RIGHT": 0.0, "UP": 0.0, "DOWN": 0.0}
        held = [(start, now, button) for button, start in self._held.items()]
        for start, end, button in (*self._moves, *held):
            if button in moved:
                moved[button] += STEP / STEP_SECONDS * max(0.0, end - max(start, since))
        return moved["FORWARD"] - moved["BACK"], moved["LEFT"] - moved["RIGHT"], moved["UP"] - moved["DOWN"]

    def _hold(self, buttons: set[str]) -> None:
        """Have the keys of these buttons down, and no others."""
        now = time.monotonic()
        if self._held.keys() != buttons:
            self._draw_reaction()
        for button in self._held.keys() - buttons:
            self._page.keyboard.up(self._keys[button])
            self._moves.append((self._held.pop(button), now, button))
        for button in buttons - self._held.keys():
            self._page.keyboard.down(self._keys[button])
            self._held[button] = now
        while self._moves and self._moves[0][1] < now - 2:
            self._moves.popleft()

    def _draw_reaction(self) -> None:
        """One for each action: drawn at each look, the shortest would decide."""
        self._reaction = max(0.12, self._rng.gauss(REACTION, SPREAD))

    def _tap(self, button: str) -> None:
        self._page.keyboard.press(self._keys[button], delay=60)


class Outcome(NamedTuple):
    """What came of a run.

    Attributes:
        seconds: of wall time from the command's start until the target was reached; None if it was not.
        demonstrations: number of them.
        demonstrated: steps in them that the human drove.
        corrected: steps that the human drove afterwards.
        successes: of the final evaluation, whose seeds chose nothing.
        episodes: of the final evaluation.
        length: steps of an episode in it.
    """

    seconds: float | None
    demonstrations: int
    demonstrated: int
    corrected: int
    successes: int = 0
    episodes: int = 0
    length: float = 0.0


def train(obs: str, out: Path, *, seed: int = 0, minutes: float = 15.0, arguments: tuple[str, ...] = ()) -> Outcome:
    """Train PickCube with the simulated human until the target is reached.

    Args:
        obs: "state" or "pixels".
        out: folder of the run.
        seed: of the run and of the human.
        minutes: after which the human gives up.
        arguments: more of `hil-trainer train`.
    """
    from playwright.sync_api import sync_playwright

    words = ["--algorithm", "bc", "--operator", "web", "--ask", "--target", str(TARGET), "--seed", str(seed)]
    words += ["--out", str(out), "--no-tensorboard", *ARGUMENTS[obs], *arguments]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(open(out.with_suffix(".txt"), "w+", encoding="utf-8"))
        began, started = time.time(), time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-m", "hil_trainer", "train", *words], stdout=output, stderr=subprocess.STDOUT
        )
        stack.callback(run.wait)
        stack.callback(run.terminate)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER)
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 640, "height": 400})
        page.add_init_script(SLOW_DRAWING)
        page.goto(_link(run, Path(output.name)))
        human = Human(page, seed)
        while run.poll() is None and time.monotonic() - started < 60 * minutes:
            human.act()
            page.wait_for_timeout(1000 * LOOK)
    return _outcome(out, began)


def from_state(quick: bool = False) -> Row:
    """PickCube from state, with a simulated human at the page."""
    return _row("state", quick=quick)


def from_images(quick: bool = False) -> Row:
    """PickCube from images, with a simulated human at the page."""
    return _row("pixels", quick=quick)


def _row(obs: str, *, quick: bool) -> Row:
    what = f"PickCube from {'state' if obs == 'state' else 'images'}, 95 of 100, demonstrations included"
    bar = f"at most {BARS[obs]:g} minutes"
    if shutil.which("chromium") is None or importlib.util.find_spec("playwright") is None:
        return Row(what, bar, "needs chromium and playwright", None)
    with tempfile.TemporaryDirectory() as folder:
        short = ("--demos", "1", "--offline-steps", "50", "--steps", "0", "--evaluation.episodes", "2") if quick else ()
        found = train(obs, Path(folder) / obs, arguments=short)
    reached = "not reached" if found.seconds is None else f"{clock_time(found.seconds)} min"
    words = (
        f"{reached}; {found.successes} of {found.episodes} on other seeds, {found.length:.0f} steps an episode; "
        f"{found.demonstrations} demonstrations of {found.demonstrated} driven steps, {found.corrected} driven later"
    )
    return Row(what, bar, words, found.seconds is not None and found.seconds <= 60 * BARS[obs])


def _link(run: Any, output: Path) -> str:
    """The link that a run prints."""
    while run.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", output.read_text(encoding="utf-8"))
        if found:
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"the run has ended: {output.read_text(encoding='utf-8')[-500:]}")


def _outcome(out: Path, began: float) -> Outcome:
    rows = read_metrics(out)
    episodes = [row for row in rows if row["kind"] == "episode"]
    shown = [row for row in episodes if row["demonstration"]]
    full = [row for row in rows if row["kind"] == "evaluation" and row["purpose"] == "full"]
    reached = next((row for row in full if row["successes"] >= TARGET * row["episodes"]), None)
    final = final_evaluation(rows)
    driven = Outcome(
        seconds=None if reached is None else reached["time"] - began,
        demonstrations=len(shown),
        demonstrated=sum(row["operator_steps"] for row in shown),
        corrected=sum(row["operator_steps"] for row in episodes if not row["demonstration"]),
    )
    if final is None:
        return driven
    return driven._replace(successes=final["successes"], episodes=final["episodes"], length=final["length"])
