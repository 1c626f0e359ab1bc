"""Only the holder of the token, from the console's own page, under a name that cannot be rebound."""

import pytest

from gym_hil.console.access import Access, host_name, is_loopback

TOKEN = "a-token-of-some-length"


@pytest.fixture
def local() -> Access:
    return Access(TOKEN, secure=False, remote=False)


@pytest.fixture
def remote() -> Access:
    return Access(TOKEN, secure=True, remote=True)


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü" * 22])
def test_wrong_token_is_not_known(local: Access, token: str | None) -> None:
    assert local.knows_token(TOKEN)
    assert not local.knows_token(token)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8850", "LOCALHOST:9000", "[::1]:8850", "127.0.0.2:8850"])
def test_names_of_this_machine_are_known_whatever_the_port(local: Access, host: str) -> None:
    assert local.knows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "127.0.0.1.evil.example:8850",
        "localhost.evil.example",
        "192.168.1.7",
        "[::2]",
        "lab.example",
    ],
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
    words = local.cookie_header("localhost:8850").split("; ")
    assert words[0] == f"gym_hil_8850={TOKEN}"
    assert {"HttpOnly", "SameSite=Strict"} <= set(words)
    assert "Secure" not in words
    assert "Secure" in remote.cookie_header("localhost").split("; ")


def test_each_port_that_a_browser_asks_for_has_a_cookie_of_its_own(local: Access) -> None:
    assert local.cookie_name("localhost:8850") != local.cookie_name("localhost:9000")
    assert local.cookie_name("[::1]:8850") == local.cookie_name("127.0.0.1:8850")
    assert local.cookie_name("localhost") == local.cookie_name("[::1]") == "gym_hil_console"


def test_consoles_at_two_paths_of_a_host_have_cookies_of_their_own() -> None:
    urls = ["https://lab.example/", "https://lab.example/robot/"]
    both = [Access(TOKEN, secure=False, remote=False, public_url=url) for url in urls]
    assert len({access.cookie_name("lab.example") for access in both}) == 2


@pytest.fixture
def proxied() -> Access:
    return Access(TOKEN, secure=False, remote=False, public_url="https://lab.example/robot/")


@pytest.mark.parametrize("host", ["lab.example", "LAB.example:443", "127.0.0.1:8850"])
def test_public_name_is_known_beside_the_own_ones(proxied: Access, host: str) -> None:
    assert proxied.knows_host(host)
    assert proxied.is_own_page("https://lab.example", host)


@pytest.mark.parametrize("origin", ["http://lab.example", "https://lab.example:8443", "https://evil.example", "null"])
def test_only_the_exact_public_origin_is_the_own_page(proxied: Access, origin: str) -> None:
    assert not proxied.is_own_page(origin, "127.0.0.1:8850")
    assert not proxied.knows_host("evil.lab.example")


def test_cookie_behind_tls_is_never_sent_without_it(proxied: Access) -> None:
    assert "Secure" in proxied.cookie_header("127.0.0.1:8850").split("; ")


def test_host_name_and_loopback() -> None:
    assert [host_name(host) for host in ("A.b:1", "[::1]:2", "[::1]", "")] == ["a.b", "::1", "::1", ""]
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.7", "machine.example")] == [False] * 4
