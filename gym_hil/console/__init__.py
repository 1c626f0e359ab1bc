"""The operator's web page: see the robot and drive it from any browser. Needs the extra `web`."""

from gym_hil.console.channel import Channel
from gym_hil.console.console import Console, close_console, get_console

__all__ = ["Channel", "Console", "close_console", "get_console"]
