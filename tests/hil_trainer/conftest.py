"""The trainer's tests need the extra `train`. Where it is not installed, `tests/test_packaging.py` says so."""

import dataclasses
import importlib.util

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*"]


@pytest.fixture
def small():
    """Makes configurations that learn nothing, but quickly. Settings of the groups are given by name like others."""
    from hil_trainer.config import TrainConfig

    def make(**settings):
        config = TrainConfig()
        quick = {"threads": 1, "tensorboard": False, "demos": "2", "mixed_precision": "off", "batch_size": 16}
        few = {"utd_ratio": 1, "quick_episodes": 1, "episodes": 1, "every": 100_000, "buffer_capacity": 2000}
        settings = {**quick, **few, "width": 16, **settings}
        renamed = {"operator": ("operator", "device"), "evaluation_seed": ("evaluation", "seed")}
        outside = {group: {name: settings.pop(key)} for key, (group, name) in renamed.items() if key in settings}
        for group in ("env", "operator", "agent", "evaluation", "ray"):
            names = {field.name for field in dataclasses.fields(getattr(config, group))}
            own = {name: settings.pop(name) for name in (names - {"seed", "device"}) & settings.keys()}
            settings[group] = dataclasses.replace(getattr(config, group), **own, **outside.get(group, {}))
        return dataclasses.replace(config, **settings)

    return make
