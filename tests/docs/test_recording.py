"""What docs/recording.md says about options and features is true; `test_pages.py` runs its commands."""

import argparse
import re
from pathlib import Path

from gym_hil.cli import record
from gym_hil.datasets.features import features_of
from gym_hil.envs import PandaPickCubeGymEnv

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


def test_the_options_exist():
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    options = re.findall(r"(?m)^\| `(--[a-z-]+)", PAGE)
    assert len(options) > 5
    assert set(options) <= set(parser.format_help().replace("[", " ").replace("]", " ").split())


def test_the_features_are_those_that_are_recorded():
    listed = set(re.findall(r"`([a-z_.]+)`", PAGE.split("outcome of the step:")[1].split("Observations of other")[0]))
    env = PandaPickCubeGymEnv(image_obs=True, force_torque_obs=True)
    recorded = set(features_of(env))
    env.close()
    assert recorded - {"observation.images.wrist", "observation.force_torque"} <= listed
