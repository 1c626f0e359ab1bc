import io

import pytest

from hil_trainer.logging.milestones import Milestone
from hil_trainer.logging.status import Progress

EVALUATION = {
    "episodes": 100, "successes": 97, "length": 24.4, "seed": 0, "operator_steps": 812, "purpose": "full"
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def shown(self):
        """The lines as they stand after all that was rewritten."""
        return [line.split("\r\x1b[K")[-1] for line in self.getvalue().split("\n")]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def tell_episode(progress, step, success=True, operator_steps=0, demonstration=False):
    progress.write(
        "episode", step, step / 36, episode=0, success=success, length=20, operator_steps=operator_steps,
        demonstration=demonstration, **{"return": float(success)},
    )  # fmt: skip


def test_the_line_tells_how_the_run_stands(clock):
    progress = Progress(io.StringIO(), clock=clock)
    for number in range(20):
        tell_episode(progress, 20 * number, operator_steps=12 if number < 2 else 0)
    progress.write("evaluation", 2300, 64.0, **EVALUATION)
    progress.write("learning", 2310, 65.0, critic_loss=0.00131, actor_loss=-0.412, steps_per_second=35.8)
    assert progress.line() == (
        "step 2,310  1:05  alone 18/20  operator 6%  eval 97/100  critic 0.0013  actor -0.41  36 steps/s"
    )


def test_before_anything_is_known_the_line_is_short(clock):
    assert Progress(io.StringIO(), clock=clock).line() == "step 0  0:00"


def test_only_the_last_twenty_episodes_count(clock):
    progress = Progress(io.StringIO(), clock=clock)
    for number in range(30):
        tell_episode(progress, number, success=number >= 15)
    assert "alone 15/20" in progress.line()


def test_demonstrations_are_not_episodes_of_the_policy(clock):
    progress = Progress(io.StringIO(), clock=clock)
    tell_episode(progress, 0, operator_steps=20, demonstration=True)
    assert "alone" not in progress.line()


def test_a_success_with_the_operators_help_is_not_the_policys(clock):
    progress = Progress(io.StringIO(), clock=clock)
    tell_episode(progress, 20, operator_steps=5)
    tell_episode(progress, 40)
    assert "alone 1/2  operator 12%" in progress.line()


def test_losses_that_are_unknown_are_left_out(clock):
    progress = Progress(io.StringIO(), clock=clock)
    progress.write("learning", 10, 1.0, critic_loss=None, steps_per_second=12.0)
    assert progress.line() == "step 10  0:01  12 steps/s"


def test_a_narrow_terminal_gets_whole_parts(clock):
    progress = Progress(io.StringIO(), clock=clock)
    progress.write("learning", 10, 1.0, critic_loss=0.5, actor_loss=0.25, steps_per_second=12.0)
    assert progress.line(width=30) == "step 10  0:01  critic 0.5"


def test_elsewhere_than_on_a_terminal_a_plain_line_follows_every_interval(clock):
    out = io.StringIO()
    progress = Progress(out, interval=10, clock=clock)
    for second in range(35):
        clock.now = second
        progress.update(second * 36, second)
    assert out.getvalue().splitlines() == ["step 360  0:10", "step 720  0:20", "step 1,080  0:30"]
    progress.close()
    assert out.getvalue().splitlines()[-1] == "step 1,224  0:34"
    assert "\r" not in out.getvalue()


def test_on_a_terminal_one_line_is_rewritten(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    for second in range(5):
        clock.now = second
        progress.update(second * 36, second)
    assert out.shown() == ["step 144  0:04"]
    progress.close()
    assert out.shown() == ["step 144  0:04", ""]


def test_a_terminal_is_not_drawn_to_for_each_of_many_steps(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    for step in range(1000):
        clock.now = step / 1000
        progress.update(step, clock.now)
    assert 5 <= out.getvalue().count("\r") <= 10


def test_an_evaluation_is_told_above_the_line(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    clock.now = 1.0
    progress.update(2310, 65.0)
    progress.write("evaluation", 2310, 65.0, **EVALUATION)
    assert out.shown() == [
        "step 2,310  1:05  evaluation: 97 of 100 succeed, 24 steps on average; "
        "the operator has driven 812 steps so far",
        "step 2,310  1:05",
    ]


def test_an_evaluation_without_a_operator_says_nothing_of_one(clock):
    out = io.StringIO()
    Progress(out, clock=clock).write("evaluation", 9, 1.0, **{**EVALUATION, "operator_steps": 0, "purpose": "quick"})
    assert out.getvalue() == "step 9  0:01  quick evaluation: 97 of 100 succeed, 24 steps on average\n"


def test_the_target_and_events_are_told_in_words(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock)
    progress.write("event", 0, 0.0, text="resumed from checkpoints/step_1500")
    progress.update(2310, 65.0)
    progress.target_reached(0.99, Milestone(2310, 812, 65.0))
    assert out.getvalue().splitlines() == [
        "step 0  0:00  resumed from checkpoints/step_1500",
        "step 2,310  1:05  target reached: 99% after 2,310 steps, 812 of them the operator's, in 1:05 min",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_checkpoints_are_told_only_when_verbose(clock, verbose):
    out = io.StringIO()
    Progress(out, verbose=verbose, clock=clock).checkpoint("checkpoints/step_1500")
    assert ("checkpoints/step_1500" in out.getvalue()) == verbose


def test_a_resumed_run_shows_what_was_known_before(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock)
    progress.restore([{"kind": "evaluation", "step": 1500, "seconds": 42.0, **EVALUATION}])
    assert out.getvalue() == ""
    assert progress.line() == "step 1,500  0:42  eval 97/100"
