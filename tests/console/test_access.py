"""Only the holder of the token, from the console's own page, under a name that cannot be rebound."""

import pytest

from gym_hil.console.access import Access, host_name, is_loopback

TOKEN = "a-token-of-some-length"


@pytest.fixture
def local() -> Access:
    return Access(TOKEN, 8850, secure=False, remote=False)


@pytest.fixture
def remote() -> Access:
    return Access(TOKEN, 8850, secure=True, remote=True)


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü" * 22])
def test_wrong_token_is_not_known(local: Access, token: str | None) -> None:
    assert local.knows_token(TOKEN)
    assert not local.knows_token(token)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8850", "LOCALHOST:9000", "[::1]:8850"])
def test_names_of_this_machine_are_known_whatever_the_port(local: Access, host: str) -> None:
    assert local.knows_host(host)


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "127.0.0.1.evil.example:8850", "localhost.evil.example", "192.168.1.7", "[::2]"]
)
def test_foreign_names_are_not_known(local: Access, host: str | None) -> None:
    assert not local.knows_host(host)


def test_remote_console_is_reached_by_address_but_not_by_a_foreign_name(remote: Access) -> None:
    assert remote.knows_host("192.168.1.7:8850")
    assert not remote.knows_host("evil.example:8850")


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "http://evil.example", "https://localhost:8850", "http://localhost:8851", "http://localhost"],
)
def test_other_pages_are_not_the_own_one(local: Access, origin: str | None) -> None:
    assert local.is_own_page("http://localhost:8850", "localhost:8850")
    assert not local.is_own_page(origin, "localhost:8850")


def test_cookie_is_out_of_reach_for_scripts_and_other_sites(local: Access, remote: Access) -> None:
    words = local.cookie_header().split("; ")
    assert words[0] == f"gym_hil_8850={TOKEN}"
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(words)
    assert "Secure" not in words
    assert "Secure" in remote.cookie_header().split("; ")


def test_host_name_and_loopback() -> None:
    assert [host_name(host) for host in ("A.b:1", "[::1]:2", "[::1]", "")] == ["a.b", "::1", "::1", ""]
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.7", "machine.example")] == [False] * 4
