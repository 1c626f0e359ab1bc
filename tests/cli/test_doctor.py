"""What the doctor finds."""

import os
import shutil
import subprocess
import sys

import pytest

from gym_hil.cli import doctor, main
from gym_hil.cli.doctor import Check, Finding, all_checks, probe, report
from gym_hil.errors import ConfigurationError


@pytest.fixture(scope="module")
def found():
    expensive = ("device", "OpenGL", "CUDA")
    return {check.name: (check, check.look()) for check in all_checks() if not check.name.startswith(expensive)}


def test_every_extra_that_a_user_can_want_is_named_and_what_is_missing_comes_with_advice(found, monkeypatch):
    extras = {name.removeprefix("extra ") for name in found if name.startswith("extra ")}
    assert extras == {"web", "data", "train", "imagenet", "ray", "wandb", "pynput"}
    for check, finding in found.values():
        assert finding.ok or finding.advice or check.advice
    assert found["environment"][1] == Finding(True, "makes, steps and draws")
    assert {"torch", "pyarrow"} <= set(doctor.packages_of("train"))
    monkeypatch.setattr(doctor, "packages_of", lambda extra: ["numpy", "no-such-package"])
    assert doctor.find_extra("web") == Finding(False, "lacks no-such-package")
    assert not doctor.find_device(doctor.DEVICES["web"]).ok


def test_advice_is_shown_only_where_something_is_missing():
    findings = [Finding(True, "seven joints"), Finding(False, "none"), Finding(False, "lame", "rest")]
    checks = [Check("arm", Finding, "grow one"), Check("leg", Finding, "walk on hands"), Check("toe", Finding)]
    assert report(checks, findings).splitlines() == [
        "ok       arm  seven joints",
        "missing  leg  none",
        "              -> walk on hands",
        "missing  toe  lame",
        "              -> rest",
    ]


@pytest.mark.parametrize(("core", "status"), [(False, 0), (True, 1)])
def test_only_a_missing_core_part_is_a_failure(monkeypatch, capsys, core, status):
    check = Check("leg", lambda: Finding(False, "none"), "walk on hands", core=core)
    monkeypatch.setattr(doctor, "all_checks", lambda: [check])
    assert main(["doctor"]) == status
    assert "walk on hands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "the process was ended by signal 11"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("raise SystemExit('no CUDA')", "no CUDA"),
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
    ],
)
def test_a_part_that_crashes_or_hangs_is_reported_and_nothing_else(code, message):
    assert probe(code, 0.5 if "sleep" in code else 30) == Finding(False, message)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays of Linux")
def test_a_missing_display_is_reported(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not doctor.find_display().ok
    monkeypatch.setenv("DISPLAY", ":7")
    assert doctor.find_display() == Finding(True, "DISPLAY=:7")


def test_a_cache_folder_that_cannot_be_written_to_is_reported(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked / "cache"))
    assert not doctor.find_numba_cache().ok
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert doctor.find_numba_cache() == Finding(True, f"{tmp_path / 'cache'} can be written to")


def test_a_user_without_home_directory_in_a_package_that_cannot_be_written_to(monkeypatch, tmp_path):
    """A container's user without an entry in passwd."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "gym_hil").touch()
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "gym_hil" / "cli" / "doctor.py"))

    def no_home(path):
        raise ConfigurationError(f"{path!r} cannot be expanded: Could not determine home directory.")

    monkeypatch.setattr(doctor, "expand_path", no_home)
    assert not doctor.find_numba_cache().ok


@pytest.mark.skipif(shutil.which("setpriv") is None or os.getuid() != 0, reason="root may become any user")
def test_a_user_without_passwd_entry_and_home_gets_a_report(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "USER", "LOGNAME")}
    become = ["setpriv", "--reuid=54321", "--clear-groups"]
    become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    code = (
        "import sys; from gym_hil.cli import doctor, main\n"
        "checks = doctor.all_checks()\n"
        "doctor.all_checks = lambda: [check for check in checks if check.name in ('numba cache', 'HID access')]\n"
        "sys.exit(main(['doctor']))"
    )
    command = [*become, sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "numba cache" in result.stdout
