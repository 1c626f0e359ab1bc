"""Settings on the command line and in files are understood alike."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.cli.train import as_arguments, parse
from hil_trainer.config import (
    ACFQLConfig,
    EnvConfig,
    EvaluationConfig,
    OperatorConfig,
    RayConfig,
    SACConfig,
    TrainConfig,
    to_dict,
)
from hil_trainer.config.defaults import defaults

CONFIGS = [
    TrainConfig(wandb="-1", demos="0", env=EnvConfig(real_time=True), operator=OperatorConfig(device="none")),
    defaults("PandaArrangeBoxes-v1", "state"),
    TrainConfig(env=EnvConfig(orientation=False, force_torque=True)),
    TrainConfig(
        algorithm="acfql",
        init=Path("runs/some one"),
        online_steps_before_learning=7,
        operator=OperatorConfig(ask=True),
        acfql=ACFQLConfig(q_agg="mean", normalize_q_loss=True, utd_ratio=3, alpha=0.5, chunk_size=10),
    ),
    TrainConfig(
        demos="some data/pick",
        seed=2**31,
        checkpoint_seconds=1e-9,
        compile=True,
        threads=3,
        tensorboard=False,
        wandb="--odd",
        env=EnvConfig("a b", "pixels", privileged=False, reward_classifier=Path("models/some one"), real_time=False),
        operator=OperatorConfig(device="web", intervention="hold", motion_noise=0.3),
        agent=SACConfig(discount=1e-12, policy_learning_rate=1e-5, target_entropy=-2.5, gripper="discrete"),
        evaluation=EvaluationConfig(target=math.pi / 4),
        ray=RayConfig(address="auto", actors=3, wait=False),
    ),
]


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_a_configuration_that_was_written_is_read_back_the_same(config):
    written = json.loads(json.dumps(to_dict(config)))
    assert parse(["--out", "x", *as_arguments(written)]).settings == config


def test_defaults_are_those_of_the_task():
    arguments = parse(["--out", "x", "--task", "PandaArrangeBoxes-v1"])
    assert arguments.settings == defaults("PandaArrangeBoxes-v1", "state", "bc")
    sac = parse(["--out", "x", "--task", "PandaArrangeBoxes-v1", "--algorithm", "sac"])
    assert sac.settings == defaults("PandaArrangeBoxes-v1", "state", "sac")
    assert parse(["--out", "x", "--obs=pixels"]).settings == defaults("PandaPickCube-v1", "pixels")
    assert (arguments.out, arguments.resume) == (Path("x"), False)


@pytest.mark.parametrize(
    ("words", "algorithm"),
    [
        ("", "bc"),
        ("--task PandaInsertPeg-v1 --obs pixels", "bc"),
        ("--obs pixels", "sac"),
        ("--obs pixels --encoder imagenet", "bc"),
        ("--demos 0", "sac"),
        ("--operator none --demos data/pick", "sac"),
        ("--operator none --demos data/pick --steps 0", "bc"),
        ("--agent.discount 0.98", "sac"),
        ("--acfql.alpha=3", "acfql"),
        ("--compile", "sac"),
        ("--env panda_gym:PandaPickAndPlace-v3", "sac"),
        ("--task PandaArrangeBoxes-v1 --ray", "sac"),
        ("--env Pusher-v5", "sac"),
    ],
)
def test_an_operator_is_imitated_unless_rewards_teach_more(words, algorithm):
    assert parse(["--out", "x", *words.split()]).settings.algorithm == algorithm


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


def test_a_run_of_a_version_with_other_settings_of_acfql_is_resumed_unless_it_needs_them(tmp_path):
    then = to_dict(defaults("PandaPickCube-v1", "pixels"))
    then["acfql"] |= {"policy": "one_step", "samples": 8}
    (tmp_path / "config.json").write_text(json.dumps(then))
    assert parse(["--resume", "--out", str(tmp_path)]).settings == defaults("PandaPickCube-v1", "pixels")
    (tmp_path / "config.json").write_text(json.dumps(then | {"algorithm": "acfql"}))
    with pytest.raises(ConfigurationError, match=r"policy and samples of acfql.*Train again"):
        parse(["--resume", "--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--nonsense", "3"], "--nonsense"),
        (["--agent.nonsense=3"], "--agent.nonsense"),
        (["--steps", "many"], "--steps"),
        (["--obs", "sound"], "--obs"),
        (["--resume"], "--out"),
    ],
)
def test_a_setting_that_is_not_understood_or_missing_is_an_error_that_names_it(capsys, words, name):
    with pytest.raises(SystemExit) as exit_:
        parse(words if name == "--out" else ["--out", "x", *words])
    assert exit_.value.code == 2
    assert name in capsys.readouterr().err


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
        parse(["--out", "x", "--algorithm", "sac", "--steps", "0"])


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


@pytest.mark.parametrize(
    ("words", "orientation"), [([], None), (["--orientation"], True), (["--no-orientation"], False)]
)
def test_rotation_of_the_action_is_asked_for_by_a_flag(words, orientation):
    assert parse(["--out", "x", *words, "--seed", "1"]).settings.env.orientation is orientation
