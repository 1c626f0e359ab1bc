import io

import pytest

from hil_trainer.logging.metrics import Milestone
from hil_trainer.logging.status import TrainingStatus
from tests.terminal import Terminal

EVALUATION = {
    "episodes": 100, "successes": 97, "length": 24.4, "seed": 0, "operator_steps": 812, "purpose": "full"
}  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


def write_episode(status, step, success=True, operator_steps=0, demonstration=False):
    status.write(
        "episode", step, step / 36, episode=0, success=success, length=20, operator_steps=operator_steps,
        demonstration=demonstration, **{"return": float(success)},
    )  # fmt: skip


def test_the_line_sums_up_the_run(clock):
    status = TrainingStatus(io.StringIO(), clock=clock)
    assert status.line() == "step 0  0:00"
    for number in range(20):
        write_episode(status, 20 * number, operator_steps=12 if number < 2 else 0)
    status.write("evaluation", 2300, 64.0, **EVALUATION)
    status.write("learning", 2310, 65.0, critic_loss=0.00131, actor_loss=-0.412, steps_per_second=35.8)
    assert status.line() == (
        "step 2,310  1:05  alone 18/20  operator 6%  eval 97/100  critic 0.0013  actor -0.41  36 steps/s"
    )
    status.write("learning", 2310, 65.0, critic_loss=None, steps_per_second=12.0)
    assert status.line().endswith("eval 97/100  12 steps/s")


def test_only_the_last_twenty_episodes_count_and_no_demonstrations(clock):
    status = TrainingStatus(io.StringIO(), clock=clock)
    write_episode(status, 0, operator_steps=20, demonstration=True)
    assert "alone" not in status.line()
    for number in range(30):
        write_episode(status, number, success=number >= 15)
    assert "alone 15/20" in status.line()


def test_a_plain_line_follows_every_interval_where_there_is_no_terminal(clock):
    out = io.StringIO()
    status = TrainingStatus(out, interval=10, clock=clock)
    for second in range(35):
        clock.now = second
        status.update(second * 36, second)
    assert out.getvalue().splitlines() == ["step 360  0:10", "step 720  0:20", "step 1,080  0:30"]
    status.close()
    assert out.getvalue().splitlines()[-1] == "step 1,224  0:34"
    assert "\r" not in out.getvalue()


def test_an_evaluation_is_printed_above_the_line(clock, terminal):
    status = TrainingStatus(terminal, clock=clock)
    clock.now = 1.0
    status.update(2310, 65.0)
    status.write("evaluation", 2310, 65.0, **EVALUATION)
    assert terminal.shown() == [
        "step 2,310  1:05  evaluation: 97 of 100 succeed, 24 steps on average; "
        "the operator has driven 812 steps so far",
        "step 2,310  1:05",
    ]


def test_an_evaluation_of_an_earlier_policy_does_not_take_the_step_back(clock):
    out = io.StringIO()
    status = TrainingStatus(out, clock=clock)
    status.update(490, 12.0)
    status.write("evaluation", 250, 12.5, **{**EVALUATION, "operator_steps": 0, "purpose": "quick"})
    status.update(495, 13.0)
    status.print("goes on")
    assert out.getvalue().splitlines() == [
        "step 490  0:12  quick evaluation of step 250: 97 of 100 succeed, 24 steps on average",
        "step 495  0:13  goes on",
    ]


def test_the_target_the_final_evaluation_and_events_are_sentences(clock):
    out = io.StringIO()
    status = TrainingStatus(out, clock=clock)
    status.write("event", 0, 0.0, text="resumed from checkpoints/step_1500")
    status.update(2310, 65.0)
    status.target_reached(0.99, Milestone(2310, 812, 65.0))
    status.write("evaluation", 2310, 66.0, **{**EVALUATION, "purpose": "final"})
    assert out.getvalue().splitlines() == [
        "step 0  0:00  resumed from checkpoints/step_1500",
        "step 2,310  1:05  target reached: 99% after 2,310 steps, 812 of them the operator's, in 1:05 min",
        "step 2,310  1:06  final evaluation, on other seeds: 97 of 100 succeed, 24 steps on average",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_checkpoints_are_reported_only_when_verbose(clock, verbose):
    out = io.StringIO()
    TrainingStatus(out, verbose=verbose, clock=clock).checkpoint("checkpoints/step_1500")
    assert ("checkpoints/step_1500" in out.getvalue()) == verbose


def test_a_resumed_run_shows_what_was_known_before(clock):
    out = io.StringIO()
    status = TrainingStatus(out, clock=clock)
    status.restore([{"kind": "evaluation", "step": 1500, "seconds": 42.0, **EVALUATION}])
    assert out.getvalue() == ""
    assert status.line() == "step 1,500  0:42  eval 97/100"
