"""Devices read as raw HID reports: found, opened, read often enough that nothing is lost, and found again."""

from __future__ import annotations

import importlib
import logging
import math
import os
import sys
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from gym_hil.errors import DeviceError
from gym_hil.teleop.hid_reports import Controls, Layout, read_controls
from gym_hil.teleop.input_state import DEADZONE, InputDevice, apply_deadzone, check_deadzone

logger = logging.getLogger(__name__)

# The Linux kernel keeps 64 reports and drops what comes then; the fastest of our devices fills that in 80 ms.
READ_PERIOD = 0.02  # s between reads in the background
SEARCH_PERIOD = 1.0  # s between looks for a device that is not there
MAX_REPORTS = 1024  # taken in one read, whatever a broken device sends
REPORT_SIZE = 128  # bytes, more than any of our devices sends at once
UNKNOWN_REPORTS = 50  # without a known one among them, after which there is a warning
HELP = "See docs/devices.md#hid-devices."


def load_hidapi() -> Any:
    """The module of the distribution `hidapi`; a DeviceError if it is not installed, or cannot be loaded."""
    # On Linux the distribution brings two modules. `hid` takes the device away from the kernel's own driver and does
    # not see Bluetooth; `hidraw` does neither. Built from source there is only `hid`, and that is then the other one.
    names = ("hidraw", "hid") if sys.platform.startswith("linux") else ("hid",)
    problem = ""
    for name in names:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            problem = f"{error}"
            continue
        if hasattr(module, "device") and hasattr(module, "enumerate"):
            return module
        problem = f"the module {name!r} in {getattr(module, '__file__', None)} is another one; pip uninstall {name}"
    raise DeviceError(f"HID devices need hidapi ({problem}): pip install hidapi. {HELP}")


class HidDevice(InputDevice):
    """A device that sends HID reports.

    It may be missing, and come and go at any time. A background thread reads its reports, so that presses are not lost
    while a step takes long; the device is searched for in the constructor and in `poll` only. The `deadzone` is the
    part of an axis' range that counts as 0; the rest is stretched to the full range.

    Raises:
        ConfigurationError: the dead zone is not in [0, 1).
        DeviceError: hidapi is not installed.
    """

    noun: ClassVar[str]  # what it is called in messages
    vendors: ClassVar[tuple[int, ...]]  # USB vendor numbers to look at

    def __init__(
        self, *, intervention: str = "toggle", deadzone: float = DEADZONE, clock: Callable[[], float] = time.monotonic
    ):
        # hidapi says when a device is gone, so a slow loop is no disconnect.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        self._deadzone, self._clock = check_deadzone(deadzone), clock
        self._hid = load_hidapi()
        self._lock = threading.RLock()
        self._handle: Any = None
        self._product = self.noun
        self._layouts: Sequence[Layout] = ()
        self._axes: dict[str, float] = {}  # as last reported, without their dead zones
        self._controls: Controls | None = None  # of the last report that was understood
        self._unknown_reports = 0
        self._last_report = -math.inf  # s
        self._next_search = -math.inf  # s
        self._warning = ""  # the kind of problem that was logged last
        self._was_refused = True  # whether the last search found a device that may not be opened, or was none
        self._closed = False
        self._stop_reading: Callable[[], object] | None = None
        self._search()

    @property
    def connected(self) -> str | None:
        """The name of the device in use; None while there is none."""
        return self._product if self._handle is not None else None

    @abstractmethod
    def layouts_of(self, entry: Mapping[str, Any]) -> Sequence[Layout] | None:
        """The reports of a device, by its entry of hidapi's `enumerate`; None if it is none of ours."""

    @abstractmethod
    def on_controls(self, controls: Controls, axes: Mapping[str, float]) -> None:
        """Report to `self.inputs` what a report says; `axes` are all as last reported, without their dead zones."""

    def on_connect(self, vendor: int) -> None:
        """Called when a device was opened."""

    def on_idle(self, seconds: float, axes: dict[str, float]) -> None:
        """Called when a read brought nothing, with the time since the last report, in s."""

    def read(self) -> None:
        if not self._closed and not self._drain() and self._clock() >= self._next_search:
            self._search()

    def close(self) -> None:
        self._closed = True
        with self._lock:
            self._disconnect()
            self.inputs.disconnect(end_intervention=True)

    def _drain(self) -> bool:
        """Take in all reports that wait; False if there is no device any more. Called from any thread."""
        with self._lock:
            for count in range(MAX_REPORTS):
                if self._handle is None:
                    return False
                try:
                    report = self._handle.read(REPORT_SIZE)
                except (OSError, ValueError):
                    self._disconnect()
                    self._next_search = self._clock() + SEARCH_PERIOD
                    self._warning = "missing"
                    logger.warning(
                        "The %s is gone: all its buttons count as released. Waiting for it to come back.", self._product
                    )
                    return False
                if not report:
                    if not count:
                        self.on_idle(self._clock() - self._last_report, self._axes)
                    break
                self._last_report = self._clock()
                self._take(bytes(report))
            return True

    def _take(self, report: bytes) -> None:
        before = None if self._controls is None else self._controls.down
        controls = read_controls(self._layouts, report, before or frozenset())
        if controls is None:
            self._unknown_reports += 1
            if self._unknown_reports == UNKNOWN_REPORTS and self._controls is None:
                what = f"(number {report[0]:#x}, {len(report)} bytes)"
                logger.warning("The %s sends reports that are not known %s. %s", self.connected, what, HELP)
            return
        self._controls = controls
        self._axes.update({name: apply_deadzone(value, self._deadzone) for name, value in controls.axes.items()})
        self.on_controls(controls, self._axes)

    def _search(self) -> None:
        """Use the first device that there is and that can be opened."""
        self._next_search = self._clock() + SEARCH_PERIOD
        refused = None
        for entry, layouts in self._candidates():
            handle = self._hid.device()
            try:
                handle.open_path(entry["path"])
                handle.set_nonblocking(True)
            except (OSError, ValueError):
                refused = refused or entry
                continue
            self._connect(handle, entry, layouts)
            return
        if refused is None:
            self._warn("missing", f"There is no {self.noun}; it is used as soon as it is plugged in. {HELP}")
        elif self._was_refused:
            # The permissions of a device that was plugged in right now may come a moment later.
            self._warn("refused", _refusal(refused, refused.get("product_string") or self.noun))
        self._was_refused = refused is not None

    def _connect(self, handle: Any, entry: Mapping[str, Any], layouts: Sequence[Layout]) -> None:
        with self._lock:
            self._handle, self._last_report = handle, self._clock()
            self._product = entry.get("product_string") or self.noun
            self._layouts, self._axes, self._controls, self._unknown_reports = layouts, {}, None, 0
            self.on_connect(entry["vendor_id"])
        level = logging.WARNING if self._warning else logging.INFO  # as loud as the message that there is none
        logger.log(level, "%s is used.", self._product)
        self._warning = ""
        # A list, because a finaliser must take no lock, and `threading.Event.set` does. At exit it runs before hidapi
        # itself is shut down.
        stopped: list[bool] = []
        self._stop_reading = weakref.finalize(self, stopped.append, True)
        threading.Thread(
            target=_keep_reading, args=(weakref.ref(self), stopped), name=f"gym_hil {self.noun}", daemon=True
        ).start()

    def _candidates(self) -> list[tuple[Mapping[str, Any], Sequence[Layout]]]:
        try:
            entries = [entry for vendor in self.vendors for entry in self._hid.enumerate(vendor, 0)]
        except OSError:
            return []
        # hidapi has one entry for each use of an interface; several may have the same path.
        ours = {entry["path"]: (entry, layouts) for entry in entries if (layouts := self.layouts_of(entry)) is not None}
        return list(ours.values())

    def _disconnect(self) -> None:
        if self._stop_reading is not None:
            self._stop_reading()
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()
        self.inputs.disconnect()

    def _warn(self, problem: str, message: str) -> None:
        if problem != self._warning:
            self._warning = problem
            logger.warning(message)


def _keep_reading(reference: weakref.ref[HidDevice], stopped: list[bool]) -> None:
    while not stopped:
        time.sleep(READ_PERIOD)
        device = reference()
        if stopped or device is None or not device._drain():
            return
        del device


def _refusal(entry: Mapping[str, Any], product: str) -> str:
    """What to do about a device that is there and cannot be opened."""
    advice = "quit other programs that use it"
    if sys.platform.startswith("linux"):
        advice = udev_advice(entry["vendor_id"], entry["product_id"])
    return f"The {product} ({os.fsdecode(entry['path'])}) cannot be opened by this user: {advice}. {HELP}"


def udev_advice(vendor: int, product: int | None = None) -> str:
    """How a user gets access to HID devices on Linux; without a product, to all devices of the vendor."""
    number = "*" if product is None else f"{product:04X}"
    return (
        "write this line to /etc/udev/rules.d/70-gym-hil.rules: "
        f'KERNEL=="hidraw*", KERNELS=="*:{vendor:04X}:{number}.*", MODE="0660", TAG+="uaccess" - then run: '
        "sudo udevadm control --reload-rules && sudo udevadm trigger"
    )
