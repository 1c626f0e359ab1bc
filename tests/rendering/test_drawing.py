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

# draws random worlds with every index checked, where nothing can be written: both need code compiled on the spot
UNWRITABLE = """
import mujoco
import numpy as np
from gym_hil.rendering import drawing, make_renderer

kinds = ["box", "sphere", "capsule", "cylinder", "ellipsoid", "plane"]
random = np.random.default_rng(0)
numbers = lambda *range_: " ".join(map(str, random.uniform(*range_)))
for trial in range(60):
    geoms = "".join(
        f'<geom type="{random.choice(kinds)}" size="{numbers(.01, 1, 3)}" pos="{numbers(-2, 2, 3)}" '
        f'euler="{numbers(-180, 180, 3)}" rgba="{numbers(0, 1.3, 4)}"/>'
        for _ in range(random.integers(0, 8))
    )
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><asset><texture type="skybox" builtin="gradient" rgb1="1 0 0" rgb2="0 0 1" width="8" height="48"/>'
        '<texture name="t" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 1 0" width="9" height="5"/>'
        '<material name="t" texture="t" texrepeat="3 2"/></asset><worldbody>'
        f'<light pos="{numbers(-3, 3, 3)}" dir="{numbers(-1, 1, 3)}" directional="{"false" if trial % 2 else "true"}"/>'
        f'<light pos="{numbers(-3, 3, 3)}" castshadow="false"/>'
        f'<geom type="plane" size="{random.choice(["0 0 1", "2 1 1"])}" euler="{trial} 0 0" material="t"/>'
        f'<camera pos="{numbers(-2, 2, 3)}" euler="{numbers(-180, 180, 3)}"/>{geoms}</worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    size = random.integers(1, 60, 2)
    make_renderer("raster", model, *size).render(data, [0, 0])
print(type(drawing.draw._cache).__name__)
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
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_OPT": "1",
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "NullCache"


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
        monkeypatch.setattr(drawing, "begin", function)
        monkeypatch.setattr(drawing.gc, "disable", lambda: collecting.append(False))
        monkeypatch.setattr(drawing.gc, "enable", lambda: collecting.append(True))
        function()

    monkeypatch.setattr(drawing.NOTICE, "is_logged", False)
    compile_anew()
    compile_anew()
    assert caplog.text.count("Compiling the renderer") == 1
    assert collecting[-1]
