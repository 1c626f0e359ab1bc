import sys
from pathlib import Path

import pytest

from gym_hil.cli import doctor
from gym_hil.cli.doctor import Check, checks, report


@pytest.fixture(scope="module")
def found():
    return {check.name: check for check in checks()}


@pytest.mark.parametrize(
    "name",
    [
        "Python",
        "mujoco",
        "gymnasium",
        "numba",
        "numba cache",
        "OpenGL by egl",
        "OpenGL by osmesa",
        "OpenGL by glfw",
        "display",
        "joysticks",
        "HID access",
        "extra web",
        "extra data",
        "extra pynput",
    ],
)
def test_report_has_a_line_for_every_part(found, name):
    assert name in found
    assert name in report(list(found.values()))


def test_what_is_missing_comes_with_advice(found):
    assert all(check.advice for check in found.values() if not check.ok)


def test_the_environment_works_here(found):
    assert found["environment"].ok, found["environment"].found


def test_advice_is_shown_only_where_something_is_missing():
    text = report([Check("arm", True, "seven joints", "grow one"), Check("leg", False, "none", "walk on hands")])
    assert text.splitlines() == [
        "ok       arm  seven joints",
        "missing  leg  none",
        "              -> walk on hands",
    ]


@pytest.mark.parametrize(("core", "status"), [(False, 0), (True, 1)])
def test_only_a_missing_core_part_is_a_failure(monkeypatch, capsys, core, status):
    monkeypatch.setattr(doctor, "checks", lambda: [Check("leg", False, "none", "walk on hands", core=core)])
    assert doctor.examine() == status
    assert "walk on hands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "the process was ended by signal 11"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import time; time.sleep(60)", "no answer within 0.2 s"),
    ],
)
def test_a_part_that_crashes_or_hangs_is_reported_and_nothing_else(monkeypatch, code, message):
    monkeypatch.setattr(doctor, "_GL_PROBE", code)
    if "sleep" in code:
        monkeypatch.setattr(doctor._try, "__defaults__", (0.2,))
    check = doctor._gl("egl")
    assert not check.ok
    assert check.found == message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays of Linux")
def test_missing_display_is_told_from_a_present_one(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not doctor._display().ok
    monkeypatch.setenv("DISPLAY", ":7")
    assert doctor._display().found == "DISPLAY=:7"


def test_cache_folder_that_cannot_be_written_is_reported(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked / "cache"))
    check = doctor._numba_cache()
    assert not check.ok
    assert "NUMBA_CACHE_DIR" in check.advice
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert doctor._numba_cache() == Check("numba cache", True, f"{tmp_path / 'cache'} can be written")


def test_lacking_extra_says_how_to_install_it():
    assert doctor._extra("web", ["sys", "no_such_module"]) == Check(
        "extra web", False, "lacks no_such_module", "pip install 'gym-hil[web]'"
    )


def test_doctor_leaves_the_package_folder_as_it_was():
    package = Path(doctor.__file__).parents[1]
    before = {path for path in package.rglob("*") if "__pycache__" not in path.parts}
    doctor._numba_cache()
    assert {path for path in package.rglob("*") if "__pycache__" not in path.parts} == before
