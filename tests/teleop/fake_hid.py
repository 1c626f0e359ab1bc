"""A stand-in for hidapi's Python module: devices that a test plugs in, and reports that it sends."""

import sys
from collections import deque


class FakeUnit:
    """One HID device on the fake bus."""

    def __init__(self, vendor, product, name, usage, *, openable=True):
        self.vendor, self.product, self.name, self.usage, self.openable = vendor, product, name, usage, openable
        self.queue = deque()
        self.plugged = True
        self.path = b"/dev/hidraw%d" % id(self)

    def send(self, *reports):
        for report in reports:
            self.queue.append(bytes.fromhex(report) if isinstance(report, str) else bytes(report))


class FakeHid:
    """What `import hid` gives, as far as it is used here."""

    def __init__(self):
        self.units = []
        self.looks = 0

    def install(self, monkeypatch):
        """Take the place of the real module, under both names that it has on Linux."""
        for name in ("hid", "hidraw"):
            monkeypatch.setitem(sys.modules, name, self)
        return self

    def plug(self, vendor, product, name="", usage=(0, 0), **options):
        unit = FakeUnit(vendor, product, name, usage, **options)
        self.units.append(unit)
        return unit

    def unplug(self, unit):
        unit.plugged = False
        self.units.remove(unit)

    def enumerate(self, vendor_id=0, product_id=0):
        self.looks += 1
        return [
            {
                "path": unit.path,
                "vendor_id": unit.vendor,
                "product_id": unit.product,
                "product_string": unit.name,
                "usage_page": unit.usage[0],
                "usage": unit.usage[1],
            }
            for unit in self.units
            if vendor_id in (0, unit.vendor) and product_id in (0, unit.product)
        ]

    def device(self):
        return _Handle(self)


class _Handle:
    def __init__(self, bus):
        self._bus, self._unit = bus, None

    def open_path(self, path):
        unit = next((unit for unit in self._bus.units if unit.path == path), None)
        if unit is None or not unit.openable:
            raise OSError("open failed")
        self._unit = unit

    def set_nonblocking(self, on):
        assert on

    def read(self, max_length):
        if self._unit is None:
            raise ValueError("not open")
        if not self._unit.plugged:
            raise OSError("read error")
        return list(self._unit.queue.popleft()[:max_length]) if self._unit.queue else []

    def close(self):
        self._unit = None
