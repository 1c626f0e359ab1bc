"""The trainer's tests need the extra `train`. Where it is not installed, `tests/test_packaging.py` says so."""

import dataclasses
import importlib.util
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

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
        renamed = {
            "operator": ("operator", "device"),
            **{f"evaluation_{name}": ("evaluation", name) for name in ("seed", "num_envs")},
        }
        outside = {group: {} for group in ("operator", "evaluation")}
        for key, (group, name) in renamed.items():
            if key in settings:
                outside[group][name] = settings.pop(key)
        groups, used = {}, set()
        shared = {"seed", "device", "num_envs"}  # names outside of groups, too
        for group in ("env", "operator", "agent", "bc", "acfql", "evaluation", "ray"):
            names = {field.name for field in dataclasses.fields(getattr(config, group))} - shared
            own = {name: settings[name] for name in names & settings.keys()}
            used |= own.keys()
            groups[group] = dataclasses.replace(getattr(config, group), **own, **outside.get(group, {}))
        return dataclasses.replace(config, **groups, **{key: settings[key] for key in settings.keys() - used})

    return make


@pytest.fixture(scope="module")
def on_fake_gpu(quick_processes):
    """Calls functions in a process that has the device of `fake_gpu.py`: torch counts devices once, when it learns.

    It ends with the module, because tests of others see to it that no process is left.
    """
    from tests.hil_trainer.fake_gpu import add_fake_gpu

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=add_fake_gpu) as executor:
        yield lambda function, *args: executor.submit(function, *args).result()


@pytest.fixture(autouse=True, scope="session")
def quick_processes():
    """Fork child processes from one that has imported torch, which takes seconds; slow tests run the command itself."""
    get_context = multiprocessing.get_context
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            server = get_context("forkserver")
            server.set_forkserver_preload(["hil_trainer.learner.process", "hil_trainer.rollout.evaluation"])
            patch.setattr(multiprocessing, "get_context", lambda name: server if name == "spawn" else get_context(name))
        yield
