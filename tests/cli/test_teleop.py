"""An operator drives in real time."""

from __future__ import annotations

import contextlib
import functools
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

import gym_hil
from gym_hil.cli import main, teleop
from gym_hil.errors import PolicyError
from gym_hil.pacing import Pacer
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.keyboard_terminal import COUNTED_RELEASE_AFTER
from gym_hil.teleop.sequence import SequenceDevice
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from tests.teleop.conftest import plug, sdl  # noqa: F401
from tests.teleop.virtual_pad import VirtualPad
from tests.terminal import COMMAND, PATIENCE, TerminalProgram, without_display

Y_BUTTON, RB_BUTTON = 3, 5


class Clock:
    """Time that advances by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(teleop, "Pacer", functools.partial(Pacer, clock=clock, sleep=clock.sleep))
    return clock


class Starts(gym.Wrapper[Any, Any, Any, Any]):
    """Notes where the cube is when an episode begins."""

    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)
        self.cubes: list[list[float]] = []

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(**kwargs)
        self.cubes.append(self.env.get_wrapper_attr("cube_position").tolist())
        return result


def drive(events: list[Event | None], *, steps: int = 4, **options: Any) -> Starts:
    """Drive with an operator who presses one thing in each step."""
    operator = SequenceDevice([TeleopCommand(events=(event,) if event else ()) for event in events])
    env = Starts(gym.make("gym_hil/PandaPickCube-v1", device=operator, max_episode_steps=steps))
    teleop.drive(env, **options)
    env.close()
    return env


def test_the_scripted_operator_lifts_the_cube_at_ten_steps_a_second(
    clock: Clock, capsys: pytest.CaptureFixture
) -> None:
    assert main(["teleop", "--device", "scripted", "--no-viewer", "--episodes", "1", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PandaPickCube-v1, 10 steps a second"
    assert lines[1] == "Device: scripted"
    assert lines[-2].startswith("episode 1: success after ")
    assert lines[-1].startswith("1 success; ")
    assert " steps at 10.00 Hz of 10.00 Hz, none late" in lines[-1]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (Event.SUCCESS, "success (marked by you) after 2 steps"),
        (Event.FAILURE, "failure after 2 steps"),
        (Event.QUIT, "stopped after 2 steps"),
        (None, "time is up after 4 steps"),
    ],
)
def test_how_an_episode_ends_is_printed(
    event: Event | None, outcome: str, clock: Clock, capsys: pytest.CaptureFixture
) -> None:
    drive([None, event, None, None], episodes=1)
    assert f"episode 1: {outcome}, 0 of them yours\n" in capsys.readouterr().out
    assert clock.now == pytest.approx(0.4 if event is None else 0.2)


def test_quit_ends_it(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    drive([None, Event.QUIT])
    assert capsys.readouterr().out.endswith("0 successes; 2 steps at 10.00 Hz of 10.00 Hz, none late\n")


def test_page_counts_as_the_terminal_does_and_says_how_it_ended(clock: Clock, console: Any) -> None:
    class Again(SequenceDevice):
        """Discards the first episode, and gives up in the others."""

        event = Event.RERECORD

        def poll(self) -> TeleopCommand:
            command, self.event = TeleopCommand(events=(self.event,)), Event.FAILURE
            return command

    env = ConsoleWrapper(gym.make("gym_hil/PandaPickCube-v1", device=Again([])))
    teleop.drive(env, 2)
    session = env.channel.session
    assert (session.episode, session.episodes, session.has_policy) == (2, 2, False)
    assert [episode.number for episode in env.channel.history().episodes] == [1, 1, 2]
    env.close()
    assert console._farewell == "gym-hil teleop has ended"


def test_what_is_recorded_again_starts_as_it_did(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    class GoesOn(SequenceDevice):
        """Does not start over with each episode."""

        def reset(self) -> None:
            pass

    operator = GoesOn([TeleopCommand(events=(Event.RERECORD,))])
    env = Starts(gym.make("gym_hil/PandaPickCube-v1", device=operator, max_episode_steps=2))
    teleop.drive(env, 2)
    env.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" after")[0] for line in lines[:-1]] == [
        "episode 1: discarded, starts again",
        "episode 1: time is up",
        "episode 2: time is up",
    ]
    first, again, next_one = env.cubes
    assert first == again
    assert again != next_one


def test_the_same_seed_brings_the_same_episodes(clock: Clock) -> None:
    first, second = (drive([None] * 10, steps=1, episodes=2, seed=7).cubes for _ in range(2))
    assert first == second
    assert first[0] != first[1]


def test_a_pause_that_the_operator_asked_for_is_not_late(clock: Clock) -> None:
    class Paused(gym.Wrapper[Any, Any, Any, Any]):
        seconds_paused = 0.0

        def step(self, action: Any) -> Any:
            clock.now += 60
            self.seconds_paused += 60
            return self.env.step(action)

    env = Paused(gym.make("gym_hil/PandaPickCube-v0", device="scripted", max_episode_steps=3))
    pacer = teleop.drive(env, 1)
    env.close()
    assert (pacer.steps, pacer.late_steps) == (3, 0)
    assert pacer.rate == pytest.approx(10)


def test_the_bell_rings_when_each_episode_starts_and_ends(
    clock: Clock, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for bell, rings in ((True, 4), (False, 0)):
        drive([None], steps=1, episodes=2, bell=bell)
        assert capsys.readouterr().out.count("\a") == rings


def test_a_terminal_shows_who_drives(
    clock: Clock, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("gym_hil.status.REDRAW_SECONDS", 0.0)
    drive([None, None], steps=2, episodes=1)
    assert "episode 1  step 2  holding still" in capsys.readouterr().out


@pytest.fixture
def tapping(plug: Callable[..., VirtualPad]) -> Iterator[Callable[[int], None]]:  # noqa: F811
    """Presses a button of a gamepad again and again."""
    pad, over, threads = plug(), threading.Event(), []

    def tap(button: int) -> None:
        while not over.wait(0.05):
            pad.tap(button)

    def start(button: int) -> None:
        threads.append(threading.Thread(target=tap, args=(button,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_a_gamepad_drives_and_ends_the_episode(
    tapping: Callable[[int], None], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_hil.wrappers.intervention.TIME_TO_GET_READY", 0.0)
    tapping(Y_BUTTON)
    assert main(["teleop", "--no-viewer", "--episodes", "1", "--countdown", "0"]) == 0
    out = capsys.readouterr().out
    assert "Device: gamepad (Xbox 360 Controller)\n" in out
    assert "episode 1: success (marked by you) after " in out


def run_program(*words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *words], env=without_display(), text=True, stdout=pipe, stderr=pipe)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_ctrl_c_ends_it_with_the_report() -> None:
    words = ["teleop", "--device", "scripted", "--max-episode-steps", "1"]
    with run_program(*words) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if line.startswith("episode 2"):
                program.send_signal(signal.SIGINT)
                break
        out, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    assert out.splitlines()[-2].endswith(": stopped")
    assert " steps at " in out.splitlines()[-1]
    assert err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_keys_typed_into_a_terminal_drive() -> None:
    words = ["teleop", "--device", "keyboard", "--no-viewer", "--max-episode-steps", "-1"]
    with contextlib.closing(TerminalProgram(*COMMAND, *words)) as program:
        program.wait_for("keys from this terminal")
        program.wait_for("waiting for the operator")
        for key, answer in (
            (" ", "move to start"),
            ("w", "YOU are driving"),
            ("\x7f", "EMERGENCY STOP"),
            ("\r", "episode 1: success (marked by you) after"),
        ):
            program.type(key)
            program.wait_for(answer)
        program.wait_for("emergency stop to be released")  # it outlasts the episode
        program.press_twice("p", "press again to quit", COUNTED_RELEASE_AFTER + 0.1)
        program.wait_for("1 success; ")


@pytest.mark.parametrize("extra", [[], ["--images"]])
def test_the_console_starts_and_ends_with_the_command(
    extra: list[str], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    monkeypatch.setattr("gym_hil.wrappers.intervention.TIME_TO_GET_READY", 0.0)
    monkeypatch.setattr("gym_hil.console.web_device.WebDevice.present", True)
    words = ["teleop", "--device", "web", "--port", "0", "--episodes", "1", "--max-episode-steps", "2"]
    words += ["--countdown", "0"]
    assert main([*words, *extra]) == 0
    output = capsys.readouterr()
    assert "Console: http://127.0.0.1:" in output.err
    assert "Device: web\n" in output.out
    assert "episode 1: time is up after 2 steps, 0 of them yours\n" in output.out
    assert not [thread for thread in threading.enumerate() if thread.name == "gym-hil-console"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_operator_drives_from_a_page() -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    from tests.console.page import Loop, Page

    words = ["teleop", "--device", "web", "--port", "0", "--max-episode-steps", "-1", "--images"]
    with contextlib.ExitStack() as stack:
        program = run_program(*words)
        stack.callback(program.communicate)
        stack.callback(program.kill)
        assert program.stdout is not None
        assert program.stderr is not None
        link = re.search(r"127\.0\.0\.1:(\d+)/\?token=(\S+)", program.stderr.readline())
        assert link is not None
        lines = iter(program.stdout.readline, "")
        assert "Device: web\n" in lines  # the environment is there
        loop = Loop()
        stack.callback(loop.close)
        page = Page(loop, SimpleNamespace(port=int(link[1]), token=link[2]))  # type: ignore[arg-type]
        stack.callback(page.close)
        page.connect().wait_for("hello")
        page.watch(1).take()
        page.wait(lambda: (page.tap(), page.latest("session")["phase"] == "ready")[1])
        page.tap("INTERVENE", "FORWARD")
        page.wait(lambda: bool(page.frames) and page.frames[-1]["status"]["step"] > 0)
        page.tap("SUCCESS")
        assert "episode 1: success (marked by you) after " in next(line for line in lines if line.startswith("episode"))
        page.send(type="pause", on=True)
        page.wait(lambda: page.frames[-1]["status"]["paused"])
        page.send(type="pause", on=False)
        page.wait(lambda: not page.frames[-1]["status"]["paused"])
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 0
        assert "1 success; " in program.stdout.read()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episodes", "0"], "--episodes is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--max-episode-steps", "0"], "max_episode_steps is 0"),
        (["--device", "scripted", "--task", "Nothing"], "There is no task 'Nothing'"),
        (["--ask"], "--ask is for a policy"),
        (["--env", "Pusher-v5", "--images"], "tasks of gym_hil; Pusher-v5 shows the images that it observes."),
        (["--device", "nothing"], "There is no device 'nothing'"),
    ],
)
def test_what_cannot_work_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["teleop", *words]) == 1
    assert message in capsys.readouterr().err


def test_turning_is_part_of_the_action_when_asked_for(capsys: pytest.CaptureFixture) -> None:
    words = ["--device", "scripted", "--no-viewer", "--orientation", "--episodes", "1", "--max-episode-steps", "2"]
    assert main(["teleop", *words]) == 0
    assert "episode 1: time is up after 2 steps, 2 of them yours" in capsys.readouterr().out


def test_a_policy_asks_for_help_once_an_episode_lasts_long(clock: Clock) -> None:
    class Policy:
        help_after = 2

        def __call__(self, observation: Any) -> Any:
            return [0, 0, 0, 1]

    class Asked(SequenceDevice):
        def ask_for_help(self, on: bool) -> None:
            asked.append((steps[0], on))

        def poll(self) -> TeleopCommand:
            steps[0] += 1
            return TeleopCommand()

    asked: list[tuple[int, bool]] = []
    steps = [0]
    env = gym.make("gym_hil/PandaPickCube-v1", device=Asked([[0, 0, 0, 0]]), max_episode_steps=4)
    policy = gym_hil.load_policy(Policy())
    policy.let_ask()
    teleop.drive(env, 2, policy=policy)
    env.close()
    assert asked == [(2, True), (4, False), (6, True)]
    with pytest.raises(PolicyError, match="does not know when to ask for help"):
        gym_hil.load_policy(lambda observation: [0, 0, 0, 1]).let_ask()
