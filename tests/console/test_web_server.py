"""A server with one link, reachable by this machine alone unless one says otherwise twice. The console is one."""

from __future__ import annotations

import importlib
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gym_hil.console import Console, tls
from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError


def test_only_this_machine_can_reach_it() -> None:
    made = Console()
    assert made.url.startswith(f"http://127.0.0.1:{made.port}/?token=")
    assert made._web._socket.getsockname()[0] == "127.0.0.1"
    made.close()


def test_tokens_are_long_and_new_each_time() -> None:
    first, second = Console(), Console()
    assert first.token != second.token
    assert min(len(first.token), len(second.token)) >= 32
    first.close()
    second.close()


@pytest.mark.parametrize("options", [{}, {"allow_remote": True}, {"tls": True}])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_other_machines_are_let_in_only_on_purpose_and_encrypted(host: str, options: dict[str, bool]) -> None:
    with pytest.raises(ConfigurationError, match="--allow-remote --tls"):
        Console(host=host, **options)


def test_other_machines_are_never_let_in_without_tls() -> None:
    with pytest.raises(ConfigurationError, match="--allow-remote --tls"):
        Console(allow_remote=True)


def test_short_token_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="16 or more"):
        Console(token="guess-me")


def test_taken_port_is_said() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(DeviceError, match="Choose another port"):
            Console(port=other.getsockname()[1])


def test_without_a_wish_the_next_free_port_is_taken() -> None:
    first, second = Console(), Console()
    assert first.port != second.port
    first.close()
    second.close()


def test_remote_console_speaks_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tls.user_certificate(tmp_path)
    monkeypatch.setattr(tls, "user_certificate", lambda: files)
    made = Console(allow_remote=True, tls=True)
    assert made.options.host == "0.0.0.0"
    assert made.url.startswith("https://127.0.0.1:")
    assert "https://" in made.announcement()
    trusting = ssl.create_default_context(cafile=str(files[0]))
    address = f"https://127.0.0.1:{made.port}/"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address, context=trusting)
    with pytest.raises(urllib.error.URLError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        urllib.request.urlopen(address, context=ssl.create_default_context())
    made.close()


def test_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("not a certificate")
    with pytest.raises(DeviceError, match="cannot be used"):
        Console(tls=(tmp_path / "certificate.pem", tmp_path / "key.pem"))


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    for module in ("server", "web_server"):
        monkeypatch.delitem(sys.modules, f"gym_hil.console.{module}")
    with pytest.raises(MissingExtraError, match=r"simplejpeg.*gym-hil\[web\]"):
        importlib.import_module("gym_hil.console.server")
