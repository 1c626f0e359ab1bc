"""A SpaceNavigator that the operating system seems to have; to be run under `umockdev-run` with `DESCRIPTION`.

The library is the real one: it finds the device in an emulated /sys, opens it and reads what is written to it here.
"""

import os
import pty
import struct
import tty
from pathlib import Path

# Of a SpaceNavigator: the reports for three translations and two buttons.
REPORT_DESCRIPTOR = bytes.fromhex(
    "05 01 09 08 a1 01 a1 00 85 01 16 a2 fe 26 5e 01 09 30 09 31 09 32 75 10 95 03 81 02 c0"
    "a1 02 85 03 05 09 19 01 29 02 15 00 25 01 75 01 95 02 81 02 95 0e 81 03 c0 c0"
)
_USB = "/devices/pci0000:00/0000:00:14.0/usb1/1-1"
_HID = f"{_USB}/1-1:1.0/0003:046D:C626.0001"
DESCRIPTION = f"""\
P: {_HID}/hidraw/hidraw0
N: hidraw0
E: DEVNAME=/dev/hidraw0
E: SUBSYSTEM=hidraw
E: MAJOR=240
E: MINOR=0
A: dev=240:0
L: device=../../../0003:046D:C626.0001

P: {_HID}
E: SUBSYSTEM=hid
E: HID_ID=0003:0000046D:0000C626
E: HID_NAME=3Dconnexion SpaceNavigator
E: HID_PHYS=usb-0000:00:14.0-1/input0
E: HID_UNIQ=
H: report_descriptor={REPORT_DESCRIPTOR.hex().upper()}

P: {_USB}/1-1:1.0
E: SUBSYSTEM=usb
E: DEVTYPE=usb_interface
A: bInterfaceNumber=00

P: {_USB}
N: bus/usb/001/002
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: DEVNAME=/dev/bus/usb/001/002
A: idVendor=046d
A: idProduct=c626
A: manufacturer=3Dconnexion
A: product=SpaceNavigator
A: bcdDevice=0404
"""
_SIZE = struct.pack("<I", len(REPORT_DESCRIPTOR))
IOCTLS = f"""\
@DEV /dev/hidraw0
HIDIOCGRDESCSIZE 0 {_SIZE.hex().upper()}
HIDIOCGRDESC 0 {(_SIZE + REPORT_DESCRIPTOR.ljust(4096, bytes(1))).hex().upper()}
"""


def plug():
    """Put a terminal in the place of the device; what is written to the end that is returned is a report."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    node = Path(os.environ["UMOCKDEV_DIR"], "dev", "hidraw0")
    node.unlink(missing_ok=True)
    node.symlink_to(os.ttyname(theirs))
    os.close(theirs)
    return ours


def main():
    from gym_hil.teleop.spacemouse import SpaceMouse
    from tests.teleop.clock import Clock
    from tests.teleop.waiting import wait_for

    clock = Clock()
    ours = plug()
    mouse = SpaceMouse(clock=clock)
    for _ in range(3):
        assert mouse.connected == "SpaceNavigator", mouse.connected
        # A terminal has no borders between reports, so each is awaited.
        os.write(ours, struct.pack("<B3h", 1, 0, -350, 0))
        wait_for(lambda: mouse.poll().motion[0] == 1)
        os.write(ours, bytes([3, 1, 0]))
        wait_for(lambda: mouse.poll().gripper == 1)
        os.close(ours)
        wait_for(lambda: mouse.connected is None)
        command = mouse.poll()
        assert (command.motion.any(), command.gripper) == (False, 0)
        ours = plug()
        clock.now += 1
        mouse.poll()
    mouse.close()


if __name__ == "__main__":
    main()
