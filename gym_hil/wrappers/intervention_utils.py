"""The name under which others import the controller mappings; they live with the devices."""

from gym_hil.teleop.controller_config import bundled_config_path, load_controller_config

__all__ = ["bundled_config_path", "load_controller_config"]
