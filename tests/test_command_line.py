"""What every command does about mistakes, missing packages, and output that is closed early or cannot show a letter."""

import os
import subprocess
import sys

import pytest

from gym_hil import command_line
from gym_hil.command_line import run_command_line
from gym_hil.errors import ConfigurationError, MissingExtraError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows closes pipes in another way")


def run(*words, code="", **options):
    """Run `gym-hil` in a process of its own, after `code`; with `stdout` given, only stderr is captured."""
    options = {"stdout": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **options.pop("env", {})}
    program = f"import sys\n{code}\nfrom gym_hil.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        stderr=subprocess.PIPE, env=environment, encoding="utf-8", errors="replace", check=False, **options,
    )  # fmt: skip


@pytest.fixture
def command(monkeypatch):
    """Runs a program with one command `plot` that does what is given."""

    def run_it(error=None, status=0, **options):
        class Module:
            __doc__ = "Does something."

            @staticmethod
            def add_arguments(parser): ...

            @staticmethod
            def run(arguments):
                if error is not None:
                    raise error
                return status

        monkeypatch.setattr(command_line.importlib, "import_module", lambda name: Module)
        return run_command_line("tool", "Does things.", {"plot": "plot"}, "made_up", ["plot"], **options)

    return run_it


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (None, 7, ""),
        (ConfigurationError("steps is 0."), 1, "tool plot: steps is 0.\n"),
        (MissingExtraError("steps is 0."), 1, "tool plot: steps is 0.\n"),
        (KeyboardInterrupt(), 130, "\n"),  # as shells expect
        (ModuleNotFoundError(name="tyro"), 1, "tool plot: tyro is not installed: pip install 'gym-hil[train]'\n"),
    ],
)
def test_a_mistake_is_one_line(command, error, status, said, capsys):
    assert command(error, status=7, extra="train") == status
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError(name="hil_trainer.nothing"), ZeroDivisionError(), BrokenPipeError()]
)
def test_faults_of_the_program_itself_keep_their_traceback(command, error):
    with pytest.raises(type(error)):
        command(error, extra="train")


@posix
@pytest.mark.parametrize(
    ("words", "unbuffered"), [(["--help"], ""), (["lerobot-config", "--task=PandaPickCube", "--mode=train"], "1")]
)
def test_closing_the_output_early_ends_a_command_as_it_ends_others(words, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = run(*words, stdout=writing, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(writing)
    assert result.stderr == ""
    assert result.returncode == 141  # 128 + SIGPIPE


@linux
def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        result = run("--help", stdout=full)
    assert result.stderr == "gym-hil: the output cannot be written: No space left on device\n"
    assert result.returncode == 1


@posix
def test_a_closed_standard_output_is_no_reason_to_fail():
    script = '"$0" -c "import sys; from gym_hil.cli import main; sys.exit(main())" "$@" >&-'
    words = ["lerobot-config", "--task=PandaPickCube", "--mode=replay"]
    subprocess.run(["sh", "-c", script, sys.executable, *words], check=True)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "ascii:surrogateescape"])
def test_letters_that_the_output_cannot_show_are_written_in_another_way(encoding, tmp_path):
    folder = tmp_path / "Würfel 立方体"
    result = run("export", "PandaPickCube", str(folder), env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert result.returncode == 0, result.stderr
    assert "\\u7acb\\u65b9\\u4f53" in result.stdout
    assert (folder / "PandaPickCube-v1.xml").exists()


@pytest.mark.parametrize(
    ("words", "modules", "extra"),
    [
        *((["record", "--repo-id=a/b", "--root=r"], [module], "data") for module in ("pyarrow", "av")),
        *(([*words, "r"], ["pyarrow"], "data") for words in (["replay"], ["dataset", "info"])),
        (["teleop", "--device", "web"], ["aiohttp", "cryptography", "simplejpeg"], "web"),
        (["record", "--repo-id=a/b", "--root=r", "--device=web"], ["aiohttp", "simplejpeg"], "web"),
    ],
)
def test_without_an_extra_there_is_one_line_of_advice(words, modules, extra, tmp_path):
    result = run(*words, code=f"sys.modules.update(dict.fromkeys({modules}))", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"gym-hil {words[0]}: ")
    assert result.stderr.endswith(f"pip install 'gym-hil[{extra}]'\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["gym_hil", "gym_hil.cli", "hil_trainer", "hil_trainer.cli"])
def test_python_m_is_the_command(module):
    result = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("gym-hil 0.1." if module.startswith("gym_hil") else "hil-trainer 0.1.")
