"""The trainer's tests need the extra `train`. Where it is not installed, `tests/test_packaging.py` says so."""

import dataclasses
import importlib.util

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*"]


@pytest.fixture
def small():
    """Makes configurations that learn nothing, but quickly. Settings of `sac` and `scripted` are given like others."""
    from hil_trainer.config import TrainConfig

    def make(**settings):
        config = TrainConfig()
        quick = {
            "threads": 1,
            "batch": 16,
            "capacity": 2000,
            "tensorboard": False,
            "demos": "2",
            "mixed_precision": "off",
        }
        few = {"updates_per_step": 1, "quick_episodes": 1, "full_episodes": 1, "evaluate_every": 100_000}
        settings = {**quick, **few, "width": 16, **settings}
        for group in ("sac", "scripted"):
            names = {field.name for field in dataclasses.fields(getattr(config, group))}
            own = {name: settings.pop(name) for name in names & settings.keys()}
            settings[group] = dataclasses.replace(getattr(config, group), **own)
        return dataclasses.replace(config, **settings)

    return make
