import io

import pytest

from hil_trainer.logging.metrics import Milestone
from hil_trainer.logging.status import TrainingStatus

EVALUATION = {
    "episodes": 100, "successes": 97, "length": 24.4, "seed": 0, "operator_steps": 812, "purpose": "full"
}  # fmt: skip


class Out(io.StringIO):
    @property
    def lines(self):
        return self.getvalue().splitlines()


@pytest.fixture
def out():
    return Out()


@pytest.fixture
def status(out):
    return TrainingStatus(out)


def write_episode(status, step, success=True, operator_steps=0, demonstration=False):
    status.write(
        "episode", step, step / 36, episode=0, success=success, length=20, operator_steps=operator_steps,
        demonstration=demonstration, **{"return": float(success)},
    )  # fmt: skip


def test_the_line_sums_up_the_run(status, out):
    status.restore([{"kind": "evaluation", "step": 0, "seconds": 42.0, **EVALUATION}])
    for number in range(20):
        write_episode(status, 20 * number, operator_steps=12 if number < 2 else 0)
    status.write("learning", 2310, 65.0, critic_loss=0.00131, actor_loss=-0.412, steps_per_second=35.8)
    assert out.lines == []
    status.close()
    assert out.lines == [
        "step 2,310  1:05  alone 18/20  operator 6%  eval 97/100  critic 0.0013  actor -0.41  36 steps/s"
    ]


def test_only_the_last_twenty_episodes_count_and_no_demonstrations(status, out):
    for number in range(30):
        write_episode(status, number, success=number >= 15)
    write_episode(status, 0, operator_steps=20, demonstration=True)
    status.write("learning", 30, 1.0, critic_loss=None, steps_per_second=12.0)
    status.close()
    assert out.lines == ["step 30  0:01  alone 15/20  operator 0%  12 steps/s"]


def test_an_evaluation_of_an_earlier_policy_does_not_take_the_step_back(status, out):
    status.update(490, 12.0)
    status.write("evaluation", 250, 12.5, **{**EVALUATION, "operator_steps": 0, "purpose": "quick"})
    status.update(495, 13.0)
    status.print("goes on")
    assert out.lines == [
        "step 490  0:12  quick evaluation of step 250: 97 of 100 succeed, 24 steps on average",
        "step 495  0:13  goes on",
    ]


def test_evaluations_the_target_and_events_are_sentences(status, out):
    status.write("event", 0, 0.0, text="resumed from checkpoints/step_1500")
    status.update(2310, 65.0)
    status.write("evaluation", 2310, 65.0, **EVALUATION)
    status.target_reached(0.99, Milestone(2310, 812, 65.0))
    status.write("evaluation", 2310, 66.0, **{**EVALUATION, "purpose": "final"})
    assert out.lines == [
        "step 0  0:00  resumed from checkpoints/step_1500",
        "step 2,310  1:05  evaluation: 97 of 100 succeed, 24 steps on average; "
        "the operator has driven 812 steps so far",
        "step 2,310  1:05  target reached: 99% after 2,310 steps, 812 of them the operator's, in 1:05 min",
        "step 2,310  1:06  final evaluation, on other seeds: 97 of 100 succeed, 24 steps on average",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_checkpoints_are_reported_only_when_verbose(out, verbose):
    TrainingStatus(out, verbose=verbose).checkpoint("checkpoints/step_1500")
    assert ("checkpoints/step_1500" in out.getvalue()) == verbose


def test_the_line_begins_with_a_request_for_help(status, out):
    status.update(10, 1.0, asks_for_help=True)
    status.close()
    assert out.lines == ["THE POLICY ASKS FOR HELP  step 10  0:01"]
