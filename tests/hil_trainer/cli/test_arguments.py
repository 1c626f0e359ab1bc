"""Settings on the command line and in files are understood alike."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.errors import ConfigurationError
from hil_trainer.cli.train import as_arguments, parse
from hil_trainer.config import (
    EnvConfig,
    EvaluationConfig,
    OperatorConfig,
    RayConfig,
    SACConfig,
    TrainConfig,
    defaults,
    to_dict,
)

COUNTS = st.integers(1, 10**9)
RATES = st.floats(1e-12, 1.0)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
# As a file or a command line may have them.
CONFIGS = st.builds(
    TrainConfig,
    demos=st.sampled_from(["0", "7", "some data/pick"]),
    seed=st.integers(0, 2**31),
    steps=COUNTS,
    checkpoint_seconds=st.floats(1e-9, 1e9),
    compile=st.booleans(),
    threads=st.none() | st.integers(1, 64),
    tensorboard=st.booleans(),
    wandb=st.none() | st.sampled_from(["pick", "--odd", "-1", "a b"]),
    env=st.builds(
        EnvConfig,
        task=WORDS,
        obs=st.sampled_from(["state", "pixels"]),
        privileged=st.booleans(),
        reward_classifier=st.none() | st.just(Path("models/some one")),
        real_time=st.sampled_from([None, True, False]),
        console=st.booleans(),
    ),
    operator=st.builds(
        OperatorConfig,
        device=st.sampled_from(["scripted", "web", "auto"]),
        intervention=st.sampled_from([None, "toggle", "hold", "auto"]),
        motion_noise=st.floats(0, 1),
        help_decay_episodes=COUNTS,
    ),
    agent=st.builds(
        SACConfig,
        discount=RATES,
        learning_rate=RATES,
        policy_learning_rate=st.none() | RATES,
        target_entropy=st.floats(-100, 100),
        gripper=st.sampled_from(["continuous", "discrete"]),
        n_step=st.integers(1, 9),
    ),
    evaluation=st.builds(EvaluationConfig, target=RATES),
    ray=st.builds(RayConfig, wait=st.booleans()),
)


@settings(max_examples=25)
@given(CONFIGS)
def test_a_configuration_that_was_written_is_read_back_the_same(config):
    written = json.loads(json.dumps(to_dict(config)))
    assert parse(["--out", "x", *as_arguments(written)]).settings == config


def test_defaults_are_those_of_the_task():
    arguments = parse(["--out", "x", "--task", "PandaArrangeBoxes-v1"])
    assert arguments.settings == defaults("PandaArrangeBoxes-v1", "state")
    assert parse(["--out", "x", "--obs=pixels"]).settings == defaults("PandaPickCube-v1", "pixels")
    assert (arguments.out, arguments.resume) == (Path("x"), False)


def test_the_command_line_replaces_what_a_file_says(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"env": {"obs": "pixels"}, "seed": 5, "agent": {"n_step": 4}, "tensorboard": False}))
    found = parse(["--config", str(file), "--out", "x", "--seed", "6", "--agent.critics", "3"]).settings
    base = defaults("PandaPickCube-v1", "pixels")
    agent = dataclasses.replace(base.agent, n_step=4, critics=3)
    assert found == dataclasses.replace(base, seed=6, tensorboard=False, agent=agent)


def test_a_resume_has_the_settings_of_then_but_for_those_that_are_given(tmp_path):
    then = dataclasses.replace(defaults("PandaPickCube-v1", "pixels"), rollout_steps=7, seed=5)
    (tmp_path / "config.json").write_text(json.dumps(to_dict(then)))
    given = tmp_path / "more.json"
    given.write_text('{"steps": 50}')
    words = ["--resume", "--out", str(tmp_path), "--config", str(given), "--seed", "6"]
    assert parse(words).settings == dataclasses.replace(then, seed=6, steps=50)


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense", "3"],
        ["--agent.nonsense=3"],
        ["--steps", "many"],
        ["--obs", "sound"],
    ],
)
def test_a_setting_that_is_not_understood_is_an_error_that_names_it(capsys, words):
    with pytest.raises(SystemExit) as exit_:
        parse(["--out", "x", *words])
    assert exit_.value.code == 2
    assert words[0].partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings", [{"nonsense": 3}, {"agent": {"nonsense": True}}, {"steps": "many"}, {"steps": [1]}]
)
def test_a_setting_of_a_file_is_refused_as_one_of_the_command_line(tmp_path, capsys, settings):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    with pytest.raises(SystemExit) as exit_:
        parse(["--out", "x", "--config", str(file)])
    assert exit_.value.code == 2
    name = "agent.nonsense" if "agent" in settings else next(iter(settings))
    assert f"--{name}" in capsys.readouterr().err.replace("agent.no-nonsense", "agent.nonsense")


def test_a_value_that_cannot_work_is_told_as_everywhere(tmp_path):
    with pytest.raises(ConfigurationError, match="steps is 0"):
        parse(["--out", "x", "--steps", "0"])


def test_where_to_write_has_to_be_said(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse([])
    assert exit_.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_numbers_keep_all_their_digits():
    config = TrainConfig(evaluation=EvaluationConfig(target=math.pi / 4))
    assert parse(["--out", "x", *as_arguments(to_dict(config))]).settings.evaluation.target == math.pi / 4


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ([], None),
        (["--ray"], "local"),
        (["--ray", "--actors", "3"], "local"),
        (["--ray", "auto"], "auto"),
        (["--ray=ray://host:10001"], "ray://host:10001"),
    ],
)
def test_ray_alone_is_one_on_this_machine(words, address):
    assert parse(["--out", "x", *words]).settings.ray.address == address
