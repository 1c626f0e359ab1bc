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
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.teleop.input_state import InputDevice

logger = logging.getLogger(__name__)

DEADZONE = 0.1  # of an axis' range
# The Linux kernel keeps 64 reports and drops what comes then; the fastest of our devices fills that in 80 ms.
READ_PERIOD = 0.02  # s between readings in the background
LOOK_PERIOD = 1.0  # s between looks for a device that is not there
MOST_REPORTS = 1024  # taken in one reading, whatever a broken device sends
REPORT_SIZE = 128  # bytes, more than any of our devices sends at once
HELP = "See docs/devices.md#hid-devices."


def load_hidapi() -> Any:
    """The module of the distribution `hidapi`, imported when somebody first wants such a device.

    Raises:
        DeviceError: it is not installed, or cannot be loaded.
    """
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
    """A device in an operator's hands that sends HID reports.

    It may be missing, and come and go at any time. A background thread takes its reports in, so that presses are not
    lost while a step takes long; it is looked for only when it is made and in `poll`.

    Args:
        intervention: `toggle`, `hold` or `auto`.
        deadzone: the part of an axis' range that counts as 0; the rest is stretched to the full range.
        clock: s, never goes back.

    Raises:
        ConfigurationError: the dead zone is not in [0, 1).
        DeviceError: hidapi is not installed.
    """

    noun: ClassVar[str]  # what it is called in messages
    vendors: ClassVar[tuple[int, ...]]  # USB vendor numbers to look at

    def __init__(
        self,
        *,
        intervention: str = "toggle",
        deadzone: float = DEADZONE,
        clock: Callable[[], float] = time.monotonic,
    ):
        if not 0 <= deadzone < 1:
            raise ConfigurationError(f"deadzone is {deadzone!r}; expected 0 or more and less than 1.")
        # hidapi tells when a device is gone, so a slow loop is no reason to let go.
        super().__init__(intervention=intervention, silence_timeout=math.inf, clock=clock)
        self._deadzone, self._clock = deadzone, clock
        self._hid = load_hidapi()
        self._lock = threading.RLock()
        self._handle: Any = None
        self._product = self.noun
        self._heard = -math.inf  # s, when the last report was taken in
        self._look_at = -math.inf  # s, when to look for a device again
        self._told = ""  # the trouble that was told last
        self._refused = True  # whether a device could not be opened at the last look, or this is the first
        self._closed = False
        self._stop_reading: Callable[[], object] | None = None
        self._look()

    @property
    def connected(self) -> str | None:
        """The name of the device in use; None while there is none."""
        return self._product if self._handle is not None else None

    @abstractmethod
    def wants(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry of hidapi's `enumerate` is such a device."""

    @abstractmethod
    def opened(self, vendor: int, product: int) -> None:
        """Start anew with a device that was just opened."""

    @abstractmethod
    def take(self, report: bytes) -> None:
        """Report to the latch what a HID report says; reports that nobody knows are left alone."""

    def wait(self, seconds: float) -> None:
        """Called when a reading brought nothing, with the time since the last report, in s."""

    def read(self) -> None:
        """See `InputDevice.read`."""
        if self._closed:
            return
        if not self._drain() and self._clock() >= self._look_at:
            self._look()

    def level(self, value: float) -> float:
        """An axis' value without the dead zone.

        Args:
            value: in [-1, 1].
        """
        # 0.0 is added so that there is no negative zero.
        return math.copysign(max(abs(value) - self._deadzone, 0.0) / (1.0 - self._deadzone), value) + 0.0

    def close(self) -> None:
        """See `Device.close`."""
        self._closed = True
        with self._lock:
            self._disconnect()

    def _drain(self) -> bool:
        """Take in all reports that wait; False if there is no device any more. Called from any thread."""
        with self._lock:
            for count in range(MOST_REPORTS):
                if self._handle is None:
                    return False
                try:
                    report = self._handle.read(REPORT_SIZE)
                except (OSError, ValueError):
                    self._disconnect()
                    self._look_at = self._clock() + LOOK_PERIOD
                    self._told = "missing"
                    logger.warning(
                        "The %s is gone: everything is let go of. Waiting for it to come back.", self._product
                    )
                    return False
                if not report:
                    if not count:
                        self.wait(self._clock() - self._heard)
                    break
                self._heard = self._clock()
                self.take(bytes(report))
            return True

    def _look(self) -> None:
        """Use the first device that there is and that can be opened."""
        self._look_at = self._clock() + LOOK_PERIOD
        refused = None
        for entry in self._candidates():
            handle = self._hid.device()
            try:
                handle.open_path(entry["path"])
                handle.set_nonblocking(True)
            except (OSError, ValueError):
                refused = refused or entry
                continue
            self._connect(handle, entry)
            return
        if refused is None:
            self._tell("missing", f"There is no {self.noun}; it is used as soon as it is plugged in. {HELP}")
        elif self._refused:
            # The permissions of a device that was plugged in right now may come a moment later.
            self._tell("refused", _refusal(refused, refused.get("product_string") or self.noun))
        self._refused = refused is not None

    def _connect(self, handle: Any, entry: Mapping[str, Any]) -> None:
        with self._lock:
            self._handle, self._heard = handle, self._clock()
            self._product = entry.get("product_string") or self.noun
            self.opened(entry["vendor_id"], entry["product_id"])
        level = logging.WARNING if self._told else logging.INFO  # whoever read of its absence wants to know
        logger.log(level, "%s is used.", self._product)
        self._told = ""
        stop = threading.Event()
        self._stop_reading = weakref.finalize(self, stop.set)  # at exit too, before hidapi itself is shut down
        threading.Thread(
            target=_keep_reading, args=(weakref.ref(self), stop), name=f"gym_hil {self.noun}", daemon=True
        ).start()

    def _candidates(self) -> list[Mapping[str, Any]]:
        try:
            entries = [entry for vendor in self.vendors for entry in self._hid.enumerate(vendor, 0)]
        except OSError:
            return []
        # One entry for each use of an interface; several may stand for the same path.
        return list({entry["path"]: entry for entry in entries if self.wants(entry)}.values())

    def _disconnect(self) -> None:
        if self._stop_reading is not None:
            self._stop_reading()
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()
        self.inputs.silence()

    def _tell(self, trouble: str, message: str) -> None:
        if trouble != self._told:
            self._told = trouble
            logger.warning(message)


def _keep_reading(reference: weakref.ref[HidDevice], stop: threading.Event) -> None:
    while not stop.wait(READ_PERIOD):
        device = reference()
        if device is None or not device._drain():
            return
        del device


def _refusal(entry: Mapping[str, Any], product: str) -> str:
    """What to do about a device that is there and cannot be opened."""
    path = os.fsdecode(entry["path"])
    if not sys.platform.startswith("linux"):
        return f"The {product} ({path}) cannot be opened; quit other programs that use it. {HELP}"
    advice = udev_advice(entry["vendor_id"], entry["product_id"])
    return f"The {product} ({path}) may not be opened by this user: {advice}. {HELP}"


def udev_advice(vendor: int, product: int | None = None) -> str:
    """How a user gets to open HID devices on Linux.

    Args:
        vendor: USB number of their maker.
        product: of the device; None for all by that maker.
    """
    number = "*" if product is None else f"{product:04X}"
    return (
        "write this line to /etc/udev/rules.d/70-gym-hil.rules: "
        f'KERNEL=="hidraw*", KERNELS=="*:{vendor:04X}:{number}.*", MODE="0660", TAG+="uaccess" - then run: '
        "sudo udevadm control --reload-rules && sudo udevadm trigger"
    )
