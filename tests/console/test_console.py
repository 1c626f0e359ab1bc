"""One console for a process, which prints its link once."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading

import gymnasium as gym
import pytest

import gym_hil
from gym_hil.console import env_view, get_console
from gym_hil.console import server as module
from gym_hil.errors import ConfigurationError


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_shared", None)
    yield
    if module._shared is not None:
        module._shared.close()


def test_link_and_tunnel_are_printed_once(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.7 22")
    shared = get_console()
    assert get_console(port=shared.port) is shared
    printed = capsys.readouterr().err
    assert printed.count(shared.url) == 1
    assert f"ssh -N -L {shared.port}:127.0.0.1:{shared.port} " in printed
    assert "@10.0.0.7" in printed


def test_options_that_differ_from_the_running_console_are_refused() -> None:
    shared = get_console()
    with pytest.raises(ConfigurationError, match=str(shared.port)):
        get_console(port=shared.port + 1)


def test_closed_console_is_made_anew() -> None:
    first = get_console()
    first.close()
    first.close()
    assert get_console() is not first


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_process_makes_a_console_of_its_own() -> None:
    shared = get_console()
    context = multiprocessing.get_context("fork")
    ports = context.Queue()
    child = context.Process(target=lambda: ports.put(get_console().port))
    child.start()
    assert ports.get(timeout=30) != shared.port
    child.join()


def test_environment_finalised_in_the_middle_of_opening_another_does_not_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the garbage collector does it, wherever something is allocated."""
    shared = get_console()
    pack_scene = env_view.pack_scene

    def pack_and_collect(*arguments: object, **options: object) -> object:
        gc.collect()
        return pack_scene(*arguments, **options)

    monkeypatch.setattr(env_view, "pack_scene", pack_and_collect)
    env: gym.Env | None = gym_hil.PandaPickCubeGymEnv()
    shared.channel_for(env)
    env.itself = env  # only the garbage collector frees it  # type: ignore[union-attr]
    del env
    other = gym_hil.PandaPickCubeGymEnv()
    opening = threading.Thread(target=shared.channel_for, args=[other], daemon=True)
    opening.start()
    opening.join(20)
    assert not opening.is_alive()
    assert [channel.shows(other) for channel in shared.channels] == [True]
    other.close()


ROUNDS = """
import contextlib, gc, os, threading
import gymnasium as gym, numpy as np, gym_hil

def sockets():
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{name}").startswith("socket:")

def usage():
    gc.collect()
    with open("/proc/self/statm") as file:
        megabytes = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return threading.active_count(), sum(sockets()), megabytes

def rounds(count):
    for _ in range(count):
        env = gym.make("gym_hil/PandaPickCubeWeb-v1", reset_delay_seconds=0)
        env.reset(seed=0)
        for _ in range(5):
            env.step(np.array([0, 0, 0, 1], np.float32))

rounds(40)
before = usage()
rounds(20)
print(*before, *usage())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_notebook_cell_that_is_run_again_without_close_runs_and_does_not_grow() -> None:
    command = [sys.executable, "-W", "ignore", "-c", ROUNDS]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    threads, sockets, memory, threads_after, sockets_after, memory_after = map(float, result.stdout.split())
    assert (threads_after, sockets_after) == (threads, sockets)
    assert memory_after < memory + 30  # MB; one environment takes 3 or more
