"""Mappings of a file, all at once; one by one they are tested with `load_controller_config`."""

import json

import pytest

from gym_hil.errors import ControllerConfigError
from gym_hil.teleop.controller_config import load_controller_config, load_controller_configs


def test_every_entry_has_to_be_valid(tmp_path):
    path = tmp_path / "pads.json"
    path.write_text(json.dumps({"default": load_controller_config("default"), "My pad": {"axes": {}}}))
    assert load_controller_config("default", path)
    with pytest.raises(ControllerConfigError, match=r"'My pad'.*axes\.left_x is missing"):
        load_controller_configs(path)


def test_path_in_the_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "pads.json").write_text(json.dumps({"My pad": load_controller_config("default")}))
    assert list(load_controller_configs("~/pads.json")) == ["My pad"]
