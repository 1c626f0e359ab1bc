"""Run by LeRobot's Python: its own classes read configuration files. Usage: lerobot_parses.py FILE..."""

import json
import sys

import draccus
from lerobot.rl.gym_manipulator import GymManipulatorConfig
from lerobot.rl.train_rl import TrainRLServerPipelineConfig

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        training = "policy" in json.load(file)
    kind = TrainRLServerPipelineConfig if training else GymManipulatorConfig
    with draccus.config_type("json"):
        config = draccus.parse(kind, config_path=path, args=[])
    if training:
        config.validate()
    assert config.env.name == "gym_hil"
    print("read", path)
