"""Writes static/messages.d.ts, the types of the page's messages, from the dataclasses of gym_hil.console.messages."""

from pathlib import Path

from gym_hil.console.messages import typescript

TARGET = Path(__file__).parents[1] / "gym_hil" / "console" / "static" / "messages.d.ts"

if __name__ == "__main__":
    TARGET.write_text(typescript(), encoding="utf-8")
