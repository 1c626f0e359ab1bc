"""What the tests of the renderers share."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = (
    "import mujoco; from gym_hil.rendering import make_renderer;"
    "m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><camera/></worldbody></mujoco>');"
    "make_renderer('gl', m, 8, 8).render(mujoco.MjData(m), [0])"
)


@pytest.fixture(scope="session")
def opengl() -> None:
    """Skip where MuJoCo's own renderer does not work; tried in a process of its own, which it may take down."""
    if subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False).returncode:
        pytest.skip("no OpenGL back end works here")
