"""Settings are refused when they cannot work, and are the same after they were written down."""

import dataclasses
import json
from pathlib import Path

import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.config import EnvConfig, OperatorConfig, RayConfig, TrainConfig, read_config, to_dict
from hil_trainer.config.defaults import defaults


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 0 or more with offline_steps, else more than 0"),
        ({"buffer_capacity": -1}, "buffer_capacity is -1; expected more than 0"),
        ({"checkpoint_seconds": 0.0}, "checkpoint_seconds is 0.0; expected more than 0"),
        ({"image_size": 30}, "image_size is 30; expected a multiple of 4"),
        ({"target": 1.5}, r"target is 1.5; expected a success rate in \(0, 1\]"),
        ({"target": 0.0}, "target is 0.0"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"threads": 0}, "threads is 0; expected more than 0"),
        ({"operator": "none"}, "without an operator there are no demonstrations; give --demos 0"),
        ({"critics": 0}, "critics is 0"),
        ({"target_critics": 5}, "target_critics is 5; expected at most critics, 4"),
        ({"n_step": 0}, "n_step is 0; expected more than 0"),
        ({"discount": 1.1}, r"discount is 1.1; expected a number in \(0, 1\]"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"imitation": -1.0}, "imitation is -1.0; expected 0 or more"),
        ({"attention_heads": -1}, "attention_heads is -1; expected 0 or more"),
        ({"help_probability": 2.0}, r"help_probability is 2.0; expected a number in \[0, 1\]"),
        ({"help_decay_episodes": 0}, "help_decay_episodes is 0; expected more than 0"),
        ({"reaction_delay": -1}, "reaction_delay is -1; expected 0 or more"),
        ({"n_action_steps": 9}, "n_action_steps is 9; expected at most chunk_size, 8"),
        ({"offline_steps": 9, "demos": "0"}, "offline_steps is 9, but there are no demonstrations"),
        ({"offline_steps": 9, "address": "local"}, "offline_steps is 9; with --ray they have to be sac and 0"),
        ({"algorithm": "acfql", "address": "local"}, "algorithm is acfql .* with --ray they have to be sac and 0"),
        ({"algorithm": "acfql", "compile": True}, "compile is not there for the algorithm acfql"),
        ({"algorithm": "bc", "online_steps_before_learning": 9}, "bc learns from no steps of the policy"),
        ({"init": Path("a run")}, "init is a run, but the algorithm is sac, .* give --algorithm acfql or bc"),
        ({"tau": 0.0}, r"tau is 0.0; expected a number in \(0, 1\]"),
        ({"alpha": 0.0}, "alpha is 0.0; expected more than 0"),
        ({"critics": 0}, "critics is 0; expected more than 0"),
        ({"ask": True, "demos": "0"}, "ask is on, but demos is 0"),
        ({"ask": True, "operator": "none", "demos": "data/pick"}, "ask is on, but there is no operator to ask"),
        ({"ask": True, "address": "local"}, "ask is on, which actors on Ray cannot do"),
        ({"algorithm": "bc", "operator": "none", "demos": "0"}, "no operator from whose corrections to learn"),
    ],
)
def test_what_cannot_work_is_refused_by_name(small, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        small(**{"demos": "20", **settings})


@pytest.mark.parametrize(
    ("demos", "episodes", "dataset"), [("20", 20, None), ("0", 0, None), ("data/pick", 0, Path("data/pick"))]
)
def test_demonstrations_are_a_number_or_a_folder(demos, episodes, dataset):
    config = TrainConfig(demos=demos)
    assert (config.demo_episodes, config.demo_dataset) == (episodes, dataset)


def test_without_an_operator_there_is_training_without_demonstrations_or_with_a_dataset():
    alone = OperatorConfig(device="none")
    assert TrainConfig(operator=alone, demos="0").demo_episodes == 0
    assert TrainConfig(operator=alone, demos="data/pick").demo_dataset == Path("data/pick")


def test_each_task_has_defaults_of_its_own():
    state, pixels = defaults("PandaPickCube-v1", "state"), defaults("PandaPickCube-v1", "pixels")
    boxes = defaults("gym_hil/PandaArrangeBoxes-v1", "state")
    assert (state.env.obs, pixels.env.obs) == ("state", "pixels")
    assert pixels.agent.buffer_capacity < state.agent.buffer_capacity
    assert boxes.env.task == "gym_hil/PandaArrangeBoxes-v1"
    assert boxes.steps > state.steps
    assert boxes.agent.attention_heads
    assert not state.agent.attention_heads


def test_a_configuration_is_written_as_json_has_it():
    config = TrainConfig(algorithm="bc", init=Path("runs/b"), env=EnvConfig(reward_classifier=Path("models/a")))
    plain = json.loads(json.dumps(to_dict(config)))
    assert (plain["env"]["reward_classifier"], plain["init"]) == ("models/a", "runs/b")
    assert plain["agent"]["critics"] == config.agent.critics
    assert plain.keys() == {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read as settings"), ("{", "cannot be read as settings"), ("[1]", "holds list; expected")],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, content, message):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_config(path)


def test_only_as_many_actors_are_helped_as_there_are_and_only_by_the_scripted_operator():
    assert RayConfig(actors=3, helped_actors=3).helped_actors == 3
    with pytest.raises(ConfigurationError, match="helped_actors is 4; expected at most actors, 3"):
        RayConfig(actors=3, helped_actors=4)
    with pytest.raises(ConfigurationError, match="helped_actors is 1, but the operator is gamepad"):
        TrainConfig(operator=OperatorConfig(device="gamepad"), ray=RayConfig(helped_actors=1))
