"""The operator's web page: see the robot and drive it from any browser. Needs the extra `web`."""

from gym_hil.console.console import Console, get_console
from gym_hil.console.stage import Stage

__all__ = ["Console", "Stage", "get_console"]
