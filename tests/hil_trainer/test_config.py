"""Settings are refused when they cannot work, and are the same after they were written down."""

import dataclasses
import json
from pathlib import Path

import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.agents.sac import SACConfig
from hil_trainer.config import TrainConfig, defaults, read_config, to_dict


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0; expected more than 0"),
        ({"capacity": -1}, "capacity is -1; expected more than 0"),
        ({"checkpoint_seconds": 0.0}, "checkpoint_seconds is 0.0; expected more than 0"),
        ({"image_size": 30}, "image_size is 30; expected a multiple of 4"),
        ({"target": 1.5}, r"target is 1.5; expected a success rate in \(0, 1\]"),
        ({"target": 0.0}, "target is 0.0"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"threads": 0}, "threads is 0; expected more than 0"),
        ({"operator": "none"}, "nobody can show them; give demos 0, or a dataset"),
        ({"critics": 0}, "critics is 0"),
        ({"target_critics": 5}, "target_critics is 5; expected at most critics, 4"),
        ({"n_step": 0}, "n_step is 0; expected more than 0"),
        ({"discount": 1.1}, r"discount is 1.1; expected a number in \(0, 1\]"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"imitation": -1.0}, "imitation is -1.0; expected 0 or more"),
        ({"attention": 2.0}, r"attention is 2.0; expected a chance in \[0, 1\]"),
        ({"attention_episodes": 0}, "attention_episodes is 0; expected more than 0"),
        ({"reaction_delay": -1}, "reaction_delay is -1; expected 0 or more"),
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


def test_nobody_is_an_operator_who_shows_nothing():
    assert TrainConfig(operator="none", demos="0").demo_episodes == 0
    assert TrainConfig(operator="none", demos="data/pick").demo_dataset == Path("data/pick")


def test_each_task_has_defaults_of_its_own():
    state, pixels = defaults("PandaPickCube-v1", "state"), defaults("PandaPickCube-v1", "pixels")
    boxes = defaults("gym_hil/PandaArrangeBoxes-v1", "state")
    assert (state.obs, pixels.obs) == ("state", "pixels")
    assert pixels.capacity < state.capacity
    assert boxes.task == "gym_hil/PandaArrangeBoxes-v1"
    assert boxes.steps > state.steps
    assert boxes.sac.attention_heads
    assert not state.sac.attention_heads


def test_a_configuration_is_written_as_json_has_it():
    config = dataclasses.replace(defaults("PandaPickCube-v1", "pixels"), reward_classifier=Path("models/a"))
    plain = json.loads(json.dumps(to_dict(config)))
    assert plain["reward_classifier"] == "models/a"
    assert plain["sac"]["critics"] == config.sac.critics
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
    assert TrainConfig(actors=3, helped_actors=3).helped_actors == 3
    with pytest.raises(ConfigurationError, match="helped_actors is 4; expected at most actors, 3"):
        TrainConfig(actors=3, helped_actors=4)
    with pytest.raises(ConfigurationError, match="helped_actors is 1, but the operator is gamepad"):
        TrainConfig(operator="gamepad", helped_actors=1)


def test_attention_of_less_than_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="attention_heads is -1; expected 0 or more"):
        TrainConfig(sac=SACConfig(attention_heads=-1))
