"""A server with one link, reachable from this machine alone unless other machines are allowed and TLS is used."""

from __future__ import annotations

import importlib
import os
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from gym_hil.console import Console, tls, web_server
from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError
from tests.console.page import Loop, Page


def test_only_this_machine_can_reach_it() -> None:
    made = Console()
    assert made.url.startswith(f"http://127.0.0.1:{made.port}/?token=")
    assert made._socket.getsockname()[0] == "127.0.0.1"
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


def test_taken_port_is_reported() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(DeviceError, match="Choose another port"):
            Console(port=other.getsockname()[1])


def test_next_free_port_is_taken_by_default() -> None:
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


def test_invalid_certificate_is_reported(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("port", ["8850", 70000, -1, True, 8850.0])
def test_invalid_port_is_one_clear_error(port: object) -> None:
    with pytest.raises(ConfigurationError, match=r"port is .*; expected a whole number from 0 to 65535"):
        Console(port=port)


@pytest.mark.parametrize("url", ["lab.example", "ftp://lab.example", "https://", "https://lab.example/?token=x", 7])
def test_invalid_public_url_is_one_clear_error(url: object) -> None:
    with pytest.raises(ConfigurationError, match="public URL"):
        Console(port=0, public_url=url)


def test_host_that_cannot_be_listened_at_is_reported_without_a_port_that_was_not_asked_for() -> None:
    with pytest.raises(DeviceError, match=r"cannot listen at 192\.0\.2\.1: ") as reported:
        Console(host="192.0.2.1", allow_remote=True, tls=True)
    assert "None" not in str(reported.value)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "127.0.0.1", "localhost"])
def test_printed_tunnel_and_link_lead_to_where_the_console_listens(host: str) -> None:
    made = Console(host=host, port=0)
    near, name, far = re.search(r"-L (\d+):(\S+):(\d+) ", made.announcement()).groups()  # type: ignore[union-attr]
    assert near == far == str(made.port)
    socket.create_connection((name.strip("[]"), made.port), timeout=10).close()
    with urllib.request.urlopen(urllib.request.Request(made.url, headers={"Sec-Fetch-Site": "cross-site"})) as page:
        assert page.status == 200
    made.close()


@pytest.mark.skipif(os.name != "posix", reason="uses HOME")
def test_user_without_a_home_directory_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    with pytest.raises(ConfigurationError, match="Set XDG_CONFIG_HOME or HOME"):
        Console(tls=True)
    made = Console(port=0)
    assert "ssh -N -L" in made.announcement()
    made.close()


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nno header\r\n\r\n",
    b"\x00" * 200 + b"\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBAGE)
def test_requests_that_are_no_http_leave_no_traceback(
    data: bytes, console: Console, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", console.port), timeout=10) as connection:
        connection.sendall(data)
        while connection.recv(4096):
            pass
    assert [record for record in caplog.records if record.exc_info] == []
    assert capfd.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize("data", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_half_a_request_is_closed_after_a_while(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "SECONDS_FOR_A_REQUEST", 0.2)
    made = Console(port=0)
    with socket.create_connection(("127.0.0.1", made.port), timeout=30) as connection:
        connection.sendall(data)
        assert connection.recv(4096) == b""
    made.close()


def test_second_half_of_a_request_on_an_open_connection_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "SECONDS_IDLE", 0.2)
    made = Console(port=0)
    with socket.create_connection(("127.0.0.1", made.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTTP/1.1\r\n")
        while connection.recv(4096):
            pass
    made.close()


def test_two_consoles_behind_tunnels_keep_each_others_cookies(open_page: Callable[..., Page], loop: Loop) -> None:
    """Both run at port 8850 of their machines; the browser sees localhost:8850 and localhost:9850."""
    names = set()
    for port in (8850, 9850):
        made = Console(port=0)
        page = Page(loop, made)
        _, _, headers = page.get(f"/?token={made.token}", Host=f"localhost:{port}")
        names.add(headers["Set-Cookie"].partition("=")[0])
        page.close()
        made.close()
    assert len(names) == 2


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_link_on_another_sites_page_opens_by_a_second_request_of_the_page_itself(
    open_page: Callable[..., Page], console: Console, site: str
) -> None:
    status, body, headers = open_page().get(f"/?token={console.token}", **{"Sec-Fetch-Site": site})
    assert status == 200
    assert b'http-equiv="refresh"' in body
    assert console.token.encode() not in body
    assert "SameSite=Strict" in headers["Set-Cookie"]
