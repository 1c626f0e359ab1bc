"""The command `hil-trainer`: messages, and the exit status."""

import subprocess
import sys

import pytest

from hil_trainer import cli
from hil_trainer.errors import ConfigurationError


@pytest.fixture
def command(monkeypatch):
    """Makes a command `plot` that does what is given."""

    def make(does):
        def run(arguments):
            return does()

        class Module:
            __doc__ = "Does something."
            add_arguments = staticmethod(lambda parser: None)

        Module.run = staticmethod(run)
        monkeypatch.setattr(cli.importlib, "import_module", lambda name: Module)

    return make


def raising(error):
    def does():
        raise error

    return does


def test_what_a_command_returns_is_the_exit_status(command):
    command(lambda: 7)
    assert cli.main(["plot"]) == 7


def test_a_mistake_is_told_in_one_line(command, capsys):
    command(raising(ConfigurationError("steps is 0.")))
    assert cli.main(["plot"]) == 1
    assert capsys.readouterr().err == "hil-trainer plot: steps is 0.\n"


def test_ctrl_c_has_the_exit_status_that_shells_expect(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(["plot"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_package_that_is_missing_is_named_with_the_extra(command, capsys):
    command(raising(ModuleNotFoundError("No module named 'tyro'", name="tyro")))
    assert cli.main(["plot"]) == 1
    assert capsys.readouterr().err == "hil-trainer plot: tyro is missing: pip install 'gym-hil[train]'.\n"


@pytest.mark.parametrize("error", [ModuleNotFoundError(name="hil_trainer.nothing"), ZeroDivisionError()])
def test_a_fault_of_ours_is_not_hidden(command, error):
    command(raising(error))
    with pytest.raises(type(error)):
        cli.main(["plot"])


@pytest.mark.parametrize("words", [[], ["juggle"]])
def test_an_unknown_command_is_answered_with_those_there_are(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 2
    told = capsys.readouterr().err
    assert "train" in told
    assert "usage: hil-trainer" in told


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    told = capsys.readouterr().out
    assert all(name in told for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main([name, "--help"])
    assert exit_.value.code == 0
    assert f"hil-trainer {name}" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_told(tmp_path, capsys):
    assert cli.main(["train", "--resume", "--out", str(tmp_path / "none")]) == 1
    assert f"There is no run to resume in {tmp_path / 'none'}" in capsys.readouterr().err
    assert cli.main(["eval", str(tmp_path / "none")]) == 1
    assert "hil-trainer eval: There is no policy at" in capsys.readouterr().err
    assert cli.main(["eval", str(tmp_path), "--episodes", "0"]) == 1
    assert "--episodes is 0" in capsys.readouterr().err
    assert cli.main(["train", "--task", "PandaJuggle", "--out", str(tmp_path / "new")]) == 1
    assert "There is no task 'PandaJuggle'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_importing_the_trainer_loads_nothing_that_it_may_not_need():
    code = (
        "import sys, hil_trainer, hil_trainer.errors\n"
        "print([name for name in ('torch', 'gym_hil', 'gymnasium', 'mujoco', 'numpy') if name in sys.modules])\n"
        "assert hil_trainer.load_policy.__module__ == 'hil_trainer.agents.policy_file'\n"
        "print([name for name in ('gym_hil', 'gymnasium', 'mujoco') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[]", "[]"]


def test_the_package_has_no_other_names():
    import hil_trainer

    assert hil_trainer.__all__ == ["LoadedPolicy", "load_policy"]
    with pytest.raises(AttributeError, match="no attribute 'save_policy'"):
        _ = hil_trainer.save_policy
