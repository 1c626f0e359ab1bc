from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import gym_hil
from gym_hil.rendering import drawing
from tests.rendering.scenes import draw

# draws random worlds with every index checked (vector instructions reach memory without one), where nothing can be
# written: both need code compiled on the spot
UNWRITABLE = """
from gym_hil.rendering import drawing
from tests.rendering import test_any_world
test_any_world.test_any_world_is_drawn_from_anywhere_and_always_the_same()
print(drawing.__file__, type(drawing.draw._cache).__name__)
"""


# loads what is compiled
LOAD = """
import mujoco
from gym_hil.rendering import make_renderer

model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/><camera/></worldbody></mujoco>')
make_renderer("raster", model, 8, 8).render(mujoco.MjData(model), [0])
"""


@pytest.mark.slow
def test_a_place_where_nothing_can_be_written_draws_too_and_no_index_leaves_its_array(tmp_path):
    package = tmp_path / "site" / "gym_hil"
    shutil.copytree(Path(gym_hil.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    # a file where numba wants a folder stops even root
    (package / "rendering" / "__pycache__").write_text("")
    environment = {
        **os.environ,
        "HOME": str(blocked),
        "XDG_CACHE_HOME": str(blocked),
        "PYTHONPATH": os.pathsep.join([str(package.parent), str(Path(__file__).parents[2])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_OPT": "0",
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(package / "rendering" / "drawing.py"), "NullCache"]


def test_a_user_without_a_home_directory_gets_no_folder_called_tilde(monkeypatch, tmp_path):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(drawing.os.path, "expanduser", lambda path: path)  # what it does for such a user
    monkeypatch.setattr(drawing, "__file__", str(tmp_path / "drawing.py"))
    assert not drawing._can_cache()
    (tmp_path / "__pycache__").mkdir()
    assert drawing._can_cache()  # beside the sources


def test_a_change_in_any_compiled_module_changes_the_fingerprint(monkeypatch):
    name = "gym_hil.rendering.drawing"
    before = drawing.fingerprint(name)
    assert before == drawing.fingerprint(name) != 0
    source = drawing.inspect.getsource(drawing)
    monkeypatch.setattr(drawing.inspect, "getsource", lambda module: source + "\n")
    assert drawing.fingerprint(name) != before


def test_a_package_without_sources_is_compiled_all_the_same(monkeypatch):
    def missing(module: object) -> str:
        raise OSError

    monkeypatch.setattr(drawing.inspect, "getsource", missing)
    assert drawing.fingerprint("gym_hil.rendering.drawing") == 0


def test_loading_a_compiled_renderer_is_not_logged_as_compiling():
    draw("")  # fills the cache where this is the first test that draws
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert loaded.stderr == ""


def test_compiling_is_logged_once_and_the_garbage_collector_is_on_again_afterwards(monkeypatch, caplog):
    collecting = []

    def compile_anew():
        function = numba.njit(lambda: None)
        monkeypatch.setattr(drawing, "draw", function)
        monkeypatch.setattr(drawing.gc, "disable", lambda: collecting.append(False))
        monkeypatch.setattr(drawing.gc, "enable", lambda: collecting.append(True))
        function()

    monkeypatch.setattr(drawing.NOTICE, "is_logged", False)
    compile_anew()
    compile_anew()
    assert caplog.text.count("Compiling the renderer") == 1
    assert collecting[-1]
