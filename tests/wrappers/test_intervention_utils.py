import json

import pytest

from gym_hil.errors import ConfigurationError, ControllerConfigError
from gym_hil.wrappers.intervention_utils import bundled_config_path, load_controller_config

ENTRY = {
    "axes": {"left_x": 0, "left_y": 1, "right_x": 2, "right_y": 3},
    "buttons": {"a": 0, "b": 1, "x": 2, "y": 3, "lb": 4, "rb": 5},
    "axis_inversion": {"left_x": False, "left_y": True, "right_x": False, "right_y": True},
}


@pytest.fixture
def config_file(tmp_path):
    def write(content):
        path = tmp_path / "pads.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def changed(section, key, value):
    return {"default": {**ENTRY, section: {**ENTRY[section], key: value}}}


@pytest.mark.parametrize("name", json.loads(bundled_config_path().read_text()))
def test_every_bundled_entry_is_valid_and_points_each_control_elsewhere(name):
    config = load_controller_config(name)
    for section in ("axes", "buttons"):
        indices = list(config[section].values())
        assert len(set(indices)) == len(indices)
    assert config["axis_inversion"] == ENTRY["axis_inversion"]


@pytest.mark.parametrize(
    "name",
    [
        "Xbox 360 Controller",
        "Xbox Series X Controller",
        "PS4 Controller",
        "PS5 Controller",
        "Logitech RumblePad 2 USB",
        "Logitech F310",
        "Nintendo Switch Pro Controller",
    ],
)
def test_common_controllers_have_an_entry_of_their_own(name):
    assert name in json.loads(bundled_config_path().read_text())


@pytest.mark.parametrize("name", ["An unknown pad", "", None])
def test_unknown_controller_gets_the_default(name):
    assert load_controller_config(name) == load_controller_config("default")


def test_own_file_wins_over_the_bundled_one(config_file):
    path = config_file({"default": ENTRY, "My pad": {**ENTRY, "axes": {**ENTRY["axes"], "left_x": 7}}})
    assert load_controller_config("My pad", config_path=path)["axes"]["left_x"] == 7
    assert load_controller_config("Xbox 360 Controller", config_path=str(path)) == ENTRY


def test_result_belongs_to_the_caller():
    load_controller_config("default")["axes"]["left_x"] = 99
    assert load_controller_config("default")["axes"]["left_x"] == 0


def test_left_out_inversion_means_up_and_right_are_positive(config_file):
    path = config_file({"default": {"axes": ENTRY["axes"], "buttons": ENTRY["buttons"]}})
    assert load_controller_config("default", path)["axis_inversion"] == ENTRY["axis_inversion"]


@pytest.mark.parametrize(
    ("section", "key", "value", "shown"),
    [
        ("axes", "left_x", -1, "-1"),
        ("axes", "right_y", "3", "'3'"),
        ("axes", "left_y", None, "missing"),
        ("buttons", "rb", True, "True"),
        ("buttons", "lt", 1.5, "1.5"),
        ("axis_inversion", "left_y", 1, "1"),
    ],
)
def test_error_names_file_key_and_value(config_file, section, key, value, shown):
    path = config_file(changed(section, key, value))
    with pytest.raises(ControllerConfigError) as error:
        load_controller_config("anything", path)
    message = str(error.value)
    assert str(path) in message
    assert f"{section}.{key} is {shown};" in message


@pytest.mark.parametrize("section", ["axes", "buttons"])
def test_missing_section_is_named(config_file, section):
    entry = {key: value for key, value in ENTRY.items() if key != section}
    with pytest.raises(ControllerConfigError, match=rf"\.{section} is missing"):
        load_controller_config("default", config_file({"default": entry}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "is not valid JSON"),
        ("[]", "expected an object of controllers"),
        ({"default": 3}, "is 3; expected an object with axes"),
        ({"default": {**ENTRY, "axes": [0, 1]}}, r"\.axes is \[0, 1\]"),
        ({"default": {**ENTRY, "axis_inversion": []}}, r"\.axis_inversion is \[\]"),
        ({"Other pad": ENTRY}, "no entry 'My pad' and no entry 'default'; found \\['Other pad'\\]"),
    ],
)
def test_wrong_file_says_what_is_wrong(config_file, content, message):
    with pytest.raises(ControllerConfigError, match=message):
        load_controller_config("My pad", config_file(content))


def test_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load_controller_config("default", tmp_path / "nowhere.json")
