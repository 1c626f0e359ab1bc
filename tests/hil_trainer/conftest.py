"""A small configuration that learns nothing, quickly."""

import dataclasses

import pytest


@pytest.fixture
def small():
    """Makes configurations; names of settings of `sac` and `person` may be given as those of the whole."""
    pytest.importorskip("torch", reason="needs the extra `train`")
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
        for group in ("sac", "person"):
            names = {field.name for field in dataclasses.fields(getattr(config, group))}
            own = {name: settings.pop(name) for name in names & settings.keys()}
            settings[group] = dataclasses.replace(getattr(config, group), **own)
        return dataclasses.replace(config, **settings)

    return make
