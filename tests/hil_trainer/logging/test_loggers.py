import sys
from contextlib import closing
from unittest.mock import MagicMock

import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.logging.loggers import scalars
from hil_trainer.logging.metrics import MetricsLog, ResumePoint

EPISODE = {"episode": 3, "success": True, "length": 20, "operator_steps": 5, "return": 1.0, "demonstration": False}
EVALUATION = {
    "episodes": 100, "successes": 97, "length": 24.5, "seed": 0, "operator_steps": 812, "purpose": "full"
}  # fmt: skip


def test_numbers_and_booleans_make_curves_and_nothing_else_does():
    row = {"kind": "episode", "step": 60, "seconds": 2.0, "time": 1.0, "note": "slow", "q": None, **EPISODE}
    assert scalars(row) == {
        "episode/success": 1.0,
        "episode/length": 20.0,
        "episode/operator_steps": 5.0,
        "episode/return": 1.0,
        "episode/demonstration": 0.0,
        "episode/intervention_rate": 0.25,
    }


def test_an_evaluation_gains_its_success_rate():
    rates = scalars({"kind": "evaluation", "step": 60, "seconds": 2.0, "time": 1.0, **EVALUATION})
    assert rates["evaluation/success_rate"] == 0.97
    assert "evaluation/seed" not in rates
    final = scalars({"kind": "evaluation", "step": 60, "seconds": 2.0, "time": 1.0, **EVALUATION, "purpose": "final"})
    assert final == {"evaluation/final_success_rate": 0.97}


def events(directory):
    """Tag -> steps and values, as TensorBoard shows them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    shown = accumulator.EventAccumulator(str(directory / "tensorboard"))
    shown.Reload()
    return {
        tag: [(event.step, round(event.value, 6)) for event in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]
    }


def test_tensorboard_shows_the_numbers_as_one_curve_after_a_resume(tmp_path):
    with closing(MetricsLog(tmp_path)) as metrics:
        metrics.write("episode", 20, 1.0, **EPISODE)
        metrics.write("evaluation", 40, 2.0, **EVALUATION)
        metrics.write("event", 40, 2.0, text="paused")
        for step in (10, 20, 30):
            metrics.write("learning", step, 1.0, critic_loss=step, actor_loss=float("nan"))
    with closing(MetricsLog(tmp_path, resume=ResumePoint(20, 3))) as metrics:
        metrics.write("learning", 30, 1.0, critic_loss=31)
    shown = events(tmp_path)
    assert shown["episode/success"] == [(20, 1.0)]
    assert shown["learning/critic_loss"] == [(10, 10.0), (20, 20.0), (30, 31.0)]
    assert "learning/actor_loss" not in shown


@pytest.fixture
def wandb(monkeypatch):
    module = MagicMock(Error=type("Error", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_gets_the_settings_and_the_numbers_over_our_steps(tmp_path, wandb):
    config = {"task": "PandaPickCube-v1", "agent": {"width": 16}}
    with closing(MetricsLog(tmp_path, tensorboard=False, wandb="cubes", config=config)) as metrics:
        metrics.write("learning", 20, 90.0, critic_loss=0.5)
        metrics.write("event", 20, 90.0, text="paused")
    options, run = wandb.init.call_args.kwargs, wandb.init.return_value
    assert (options["project"], options["config"], options["dir"]) == ("cubes", config, str(tmp_path))
    run.define_metric.assert_called_with("*", step_metric="step")
    run.log.assert_called_once_with({"learning/critic_loss": 0.5, "step": 20, "minutes": 1.5})
    run.finish.assert_called_once_with()


def test_a_resume_goes_on_with_the_same_run_and_a_fresh_start_makes_another(tmp_path, wandb):
    for resume in (None, ResumePoint(20, 0), None):
        MetricsLog(tmp_path, tensorboard=False, wandb="cubes", resume=resume).close()
    first, resumed, fresh = (call.kwargs["id"] for call in wandb.init.call_args_list)
    assert first == resumed != fresh


def test_weights_and_biases_that_does_not_start_is_an_error_with_advice(tmp_path, wandb):
    wandb.init.side_effect = wandb.Error("no API key.")
    with pytest.raises(ConfigurationError, match=r"no API key. Run `wandb login`"):
        MetricsLog(tmp_path, tensorboard=False, wandb="cubes")
