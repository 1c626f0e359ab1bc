"""A human at the page: `hil-trainer train` with a simulated one, who looks and presses keys in a real browser.

The human sees what the page shows, some 250 ms late, and does nothing but press keys: demonstrates, then helps when the
policy asks. Time is real, 10 steps a second. The policy imitates by chunks.
"""

import collections
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
from typing import Any

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


class Human:
    """Looks at a page and presses its keys, as late as a human does.

    Args:
        page: Playwright's, of the console.
        seed: of the reaction times.
    """

    def __init__(self, page: Any, seed: int):
        self._page, self._rng = page, random.Random(seed)
        self._seen: deque[tuple[float, dict[str, Any]]] = deque()  # when, and what the page showed
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
            self._seen.append((now, shown))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self._reaction:
            self._seen.popleft()
        if not self._seen or self._seen[0][0] > now - self._reaction or now < self._busy_until:
            return
        since, seen = self._seen[0]
        asked = seen["driver"] == "policy" and seen["says"] == "asks for help"
        begins = seen["phase"] == "ready"
        if seen["driver"] == "you" and not seen["done"]:
            self._drive(since, seen)
            return
        self._hold(set())
        self._gripped_at = None
        if begins or asked:
            self._tap("INTERVENE")
            if begins:
                self._tap("FORWARD")  # the first motion starts the episode
            self._busy_until = time.monotonic() + 2 * REACTION  # until the effect is seen

    def _drive(self, since: float, shown: dict[str, Any]) -> None:
        """Hold the keys that bring the tool to the cube, grip it, and lift it; by what was shown at some time."""
        target = [value + moved for value, moved in zip(shown["target"], self._moved_since(since), strict=True)]
        x, y, z = (goal - value for goal, value in zip(shown["cube"], target, strict=True))
        if self._gripped_at is not None:
            gripping = time.monotonic() - self._gripped_at
            if gripping > 3 * GRIP_SECONDS and shown["cube"][2] < 0.04 and target[2] > ABOVE:
                self._gripped_at = None  # it has slipped
                return
            self._hold({"CLOSE"} if gripping < GRIP_SECONDS else {"UP"} if target[2] < LIFTED else set())
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
        now, moved = time.monotonic(), collections.Counter[str]()
        for start, end, button in (*self._moves, *((start, now, button) for button, start in self._held.items())):
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


def train(obs: str, out: Path, *, seed: int = 0, minutes: float = 15.0, arguments: tuple[str, ...] = ()) -> None:
    """Train PickCube with the simulated human.

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
        started = time.monotonic()
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
        began = time.time()
        train(obs, Path(folder) / obs, arguments=short)
        rows = read_metrics(Path(folder) / obs)
    full = [row for row in rows if row["kind"] == "evaluation" and row["purpose"] == "full"]
    # Of wall time from the command's start.
    times = [row["time"] - began for row in full if row["successes"] >= TARGET * row["episodes"]]
    words = f"{clock_time(times[0])} min; " if times else "not reached; "
    if final := final_evaluation(rows):  # on seeds that chose nothing
        words += f"{final['successes']} of {final['episodes']} on other seeds, {final['length']:.0f} steps an episode; "
    episodes = [row for row in rows if row["kind"] == "episode"]
    shown = [row["operator_steps"] for row in episodes if row["demonstration"]]
    corrected = sum(row["operator_steps"] for row in episodes if not row["demonstration"])
    words += f"{len(shown)} demonstrations of {sum(shown)} driven steps, {corrected} driven later"
    return Row(what, bar, words, bool(times) and times[0] <= 60 * BARS[obs])


def _link(run: Any, output: Path) -> str:
    """The link that a run prints."""
    while run.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", output.read_text(encoding="utf-8"))
        if found:
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"the run has ended: {output.read_text(encoding='utf-8')[-500:]}")
