"""Ray is loaded only when it is asked for, and missed in words."""

import subprocess
import sys

import pytest

from gym_hil.errors import MissingExtraError
from hil_trainer.learner.ray_cluster import load_ray


def test_without_ray_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[ray\]'"):
        load_ray()


def test_training_here_does_not_load_ray():
    code = "import sys, hil_trainer.train, hil_trainer.cli.train; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
