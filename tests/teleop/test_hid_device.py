"""What finding hidapi says when it is not as expected."""

import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from gym_hil.errors import DeviceError
from gym_hil.teleop import make_device
from gym_hil.teleop.hid_device import load_hidapi, udev_advice
from tests.teleop import hid_bus
from tests.teleop.fake_hid import FakeHid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has two of them")
def test_the_module_that_leaves_the_kernel_its_device_is_preferred(monkeypatch):
    monkeypatch.setitem(sys.modules, "hidraw", preferred := FakeHid())
    monkeypatch.setitem(sys.modules, "hid", FakeHid())
    assert load_hidapi() is preferred


@pytest.mark.parametrize("device", ["spacemouse", "gamepad_hid"])
def test_missing_hidapi_says_what_to_install(monkeypatch, device):
    for name in ("hid", "hidraw"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match="pip install hidapi"):
        make_device(device)


def test_another_module_of_that_name_is_recognised(monkeypatch):
    monkeypatch.setitem(sys.modules, "hidraw", None)
    monkeypatch.setitem(sys.modules, "hid", types.ModuleType("hid"))
    with pytest.raises(DeviceError, match="pip uninstall hid"):
        load_hidapi()


@pytest.mark.skipif(shutil.which("umockdev-run") is None, reason="needs umockdev: apt-get install umockdev")
def test_real_hidapi_finds_reads_and_loses_a_mouse(tmp_path):
    (tmp_path / "device").write_text(hid_bus.DESCRIPTION)
    (tmp_path / "ioctls").write_text(hid_bus.IOCTLS)
    command = ["umockdev-run", f"--device={tmp_path}/device", f"--ioctl=/dev/hidraw0={tmp_path}/ioctls", "--"]
    command += [sys.executable, "-m", "tests.teleop.hid_bus"]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr


def test_advice_for_all_devices_of_a_maker_names_no_product():
    assert 'KERNELS=="*:256F:*.*"' in udev_advice(0x256F)
