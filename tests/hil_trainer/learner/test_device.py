"""Device, threads and precision of a learner."""

import platform

import pytest
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.learner.device import find_device, find_threads, keep_freed_memory, uses_mixed_precision


@pytest.mark.parametrize(
    ("cores", "settings", "threads"),
    [
        (1, {}, 1),
        (2, {}, 1),
        (4, {}, 2),
        (64, {}, 4),
        (6, {"address": "local", "actors": 3}, 2),
        (6, {"address": "auto", "actors": 3}, 4),
        (2, {"threads": 7}, 7),
    ],
)
def test_the_learner_leaves_cores_to_actors_and_the_evaluation(small, monkeypatch, cores, settings, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert find_threads(small(**{"threads": None, **settings})) == threads


def test_devices_and_precision_are_chosen_by_name(monkeypatch):
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigurationError, match="device is 'gpu'; expected auto, cpu, cuda"):
        find_device("gpu")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ConfigurationError, match=r"device is 'cuda:1', but .* 1 CUDA devices.*--device cpu"):
        find_device("cuda:1")
    assert uses_mixed_precision("on", torch.device("cpu"))
    assert not uses_mixed_precision("off", torch.device("cpu"))


@pytest.mark.parametrize(
    ("vendor", "flags", "mixed"),
    [
        ("AuthenticAMD", "fpu avx512_bf16", True),
        ("AuthenticAMD", "fpu avx2", False),
        ("GenuineIntel", "fpu avx512_bf16", False),
        ("GenuineIntel", "fpu avx512_bf16 amx_bf16", True),
    ],
)
def test_a_processor_that_is_faster_in_bfloat16_uses_it(monkeypatch, vendor, flags, mixed):
    monkeypatch.setattr("hil_trainer.learner.device._processor", lambda: f"vendor_id : {vendor}\nflags : {flags}")
    assert uses_mixed_precision("auto", torch.device("cpu")) == mixed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries stay as they are")
def test_large_tensors_are_not_taken_from_the_system_again():
    import resource  # which Windows lacks

    keep_freed_memory()

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(12 << 20)  # 48 MB, 12,288 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 1000


def test_another_c_library_stays_as_it_is(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    keep_freed_memory()
