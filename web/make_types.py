"""Writes static/messages.d.ts, the types of the page's messages, from the dataclasses of gym_hil.console.messages.

With --check it fails where that file is out of date.
"""

import sys
from pathlib import Path

from gym_hil.console.messages import typescript

TARGET = Path(__file__).parents[1] / "gym_hil" / "console" / "static" / "messages.d.ts"

if __name__ == "__main__":
    if "--check" not in sys.argv:
        TARGET.write_text(typescript(), encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != typescript():
        sys.exit(f"{TARGET.name} is out of date; run: python web/make_types.py")
