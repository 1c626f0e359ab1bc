"""Functions that users name as `module:function`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_hil.errors import ConfigurationError
from gym_hil.imports import import_function


@pytest.mark.parametrize("name", ["os", ":path", "os:", "no_such_module:f", "os:no_such_function", "os:sep"])
def test_a_function_that_does_not_exist_is_an_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"reward.*{name}"):
        import_function(name, role="reward")


def test_an_error_in_the_module_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"ZeroDivisionError: division by zero \(.*broken_module.py, line 2\)"):
        import_function("broken_module:reward", role="reward")
