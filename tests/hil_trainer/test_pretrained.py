"""The policies that come with the package are the ones that were measured, and act wherever a policy is named."""

import hashlib

import pytest

import gym_hil
from gym_hil.cli import main as gym_hil_main
from gym_hil.errors import GymHilError
from hil_trainer import cli, load_policy
from hil_trainer.cli.train import parse
from hil_trainer.pretrained import pretrained_policies

POLICIES = pretrained_policies()
EPISODES = 5
EACH = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@EACH
def test_file_is_the_one_that_was_measured(policy):
    assert hashlib.sha256(policy.file.read_bytes()).hexdigest() == policy.sha256


@EACH
def test_policy_succeeds_about_as_often_as_was_measured(policy, capsys):
    words = ["--episodes", str(EPISODES), "--num-envs", str(EPISODES), "--seed", str(policy.seed)]
    assert cli.main(["eval", policy.name, *words]) == 0
    successes, _, episodes = capsys.readouterr().out.rpartition("successes: ")[2].strip().partition("/")
    assert int(episodes) == EPISODES
    assert int(successes) >= EPISODES * policy.successes / policy.episodes - 1


def test_policies_are_listed_with_what_they_were_trained_by(capsys):
    assert cli.main(["policies"]) == 0
    printed = capsys.readouterr().out
    for policy in POLICIES.values():
        assert f"{policy.name}\n  {policy.task}, from {policy.observation}\n" in printed
        assert policy.sha256 in printed
        settings = parse([*policy.trained_by.split()[2:], "--out", "run"]).settings
        assert settings.env.task == policy.task == load_policy(policy.name).trained_in[0]


def test_unknown_name_is_answered_with_the_known_ones():
    for load in (gym_hil.load_policy, load_policy):
        with pytest.raises(GymHilError) as refused:
            load("pick_cub")
        assert all(name in str(refused.value) for name in POLICIES)


def test_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "pick_cube_state").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GymHilError, match="pick_cube_state is no policy"):
        gym_hil.load_policy("pick_cube_state")


def test_demo_shows_a_policy_in_its_task(tmp_path, capsys):
    out = tmp_path / "demo.mp4"
    assert gym_hil_main(["demo", "--policy", "pick_cube_state", "--episodes", "1", "--out", str(out)]) == 0
    assert "1 of 1 episodes succeeded" in capsys.readouterr().out
    assert out.stat().st_size > 10_000


def test_demo_refuses_a_policy_that_names_no_task(capsys):
    assert gym_hil_main(["demo", "--policy", "module:function"]) == 1
    assert "does not say in which task it acts" in capsys.readouterr().err
