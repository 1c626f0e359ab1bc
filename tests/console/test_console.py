"""One console for a process, which prints its link once."""

from __future__ import annotations

import multiprocessing
import sys

import pytest

from gym_hil.console import get_console
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


def test_second_wish_that_differs_is_refused() -> None:
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
