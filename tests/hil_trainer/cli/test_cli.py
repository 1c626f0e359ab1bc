"""The command `hil-trainer`: messages, and the exit status."""

import subprocess
import sys

import pytest

from hil_trainer import cli


@pytest.mark.parametrize("words", [[], ["juggle"]])
def test_an_unknown_command_is_answered_with_those_there_are(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert "train" in printed
    assert "usage: hil-trainer" in printed


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main([name, "--help"])
    assert exit_.value.code == 0
    assert f"hil-trainer {name}" in capsys.readouterr().out


def test_a_run_that_does_not_exist_is_reported(tmp_path, capsys):
    assert cli.main(["train", "--resume", "--out", str(tmp_path / "none")]) == 1
    assert f"There is no run to resume in {tmp_path / 'none'}" in capsys.readouterr().err
    assert cli.main(["eval", str(tmp_path / "none")]) == 1
    assert "hil-trainer eval: There is no policy at" in capsys.readouterr().err
    assert cli.main(["eval", str(tmp_path), "--episodes", "0"]) == 1
    assert "--episodes is 0" in capsys.readouterr().err
    assert cli.main(["train", "--task", "PandaJuggle", "--out", str(tmp_path / "new")]) == 1
    assert "There is no environment 'PandaJuggle'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_importing_the_trainer_loading_a_policy_and_training_load_only_what_they_need():
    code = (
        "import sys, hil_trainer\n"
        "print([name for name in ('torch', 'gym_hil', 'gymnasium', 'mujoco', 'numpy') if name in sys.modules])\n"
        "assert hil_trainer.load_policy.__module__ == 'hil_trainer.agents.policy_file'\n"
        "print([name for name in ('mujoco', 'numba', 'av', 'pyarrow', 'matplotlib', 'rich') if name in sys.modules])\n"
        "import hil_trainer.train, hil_trainer.cli.train; print('ray' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[]", "[]", "False"]


def test_the_package_has_no_other_names():
    import hil_trainer

    assert hil_trainer.__all__ == ["LoadedPolicy", "load_policy"]
    with pytest.raises(AttributeError, match="no attribute 'save_policy'"):
        _ = hil_trainer.save_policy
