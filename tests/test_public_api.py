"""What `import gym_hil` offers, and that it costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import gym_hil
from gym_hil.wrappers import hil_wrappers

LAZY = ["gym_hil.envs", "gym_hil.wrappers.factory", "gym_hil.datasets.record", "mujoco", "pyarrow", "av"]


@pytest.mark.parametrize("name", gym_hil.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    offered = getattr(gym_hil, name)
    assert inspect.getdoc(offered)
    assert name in dir(gym_hil)


def test_names_are_also_those_that_type_checkers_see() -> None:
    seen = {
        alias.name
        for node in ast.walk(ast.parse(inspect.getsource(gym_hil)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(gym_hil.__all__) == seen & set(gym_hil.__all__)
    assert seen - set(gym_hil.__all__) == {"annotations", "TYPE_CHECKING", "Any", "register_envs"}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'make_robot'"):
        gym_hil.make_robot  # noqa: B018


def test_modules_that_others_use_by_their_full_name_need_no_import_of_their_own() -> None:
    code = (
        "import gym_hil; gym_hil.envs.PandaPickCubeGymEnv; gym_hil.wrappers.factory.make_env;"
        "gym_hil.wrappers.hil_wrappers.EEActionWrapper"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert gym_hil.EEActionWrapper is hil_wrappers.EEActionWrapper


def test_import_alone_loads_no_part_that_is_not_used() -> None:
    code = f"import sys, gym_hil; print([name for name in {LAZY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
