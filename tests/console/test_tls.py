"""The certificate of this user: made once, private, made anew before it runs out."""

import datetime
import os
import ssl
import stat
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs the extra `web`")
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gym_hil.console import tls
from gym_hil.errors import DeviceError


def test_certificate_is_usable_and_made_once(tmp_path: Path) -> None:
    certificate, key = tls.user_certificate(tmp_path / "new")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    before = certificate.read_bytes(), key.read_bytes()
    assert tls.user_certificate(tmp_path / "new") == (certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == before


@pytest.mark.skipif(os.name != "posix", reason="needs the file modes of POSIX")
def test_only_this_user_can_read_the_key_even_over_an_old_file(tmp_path: Path) -> None:
    (tmp_path / "console-key.pem").write_text("old")
    (tmp_path / "console-key.pem").chmod(0o644)
    _, key = tls.user_certificate(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_fingerprint_is_that_of_the_certificate(tmp_path: Path) -> None:
    files = tls.user_certificate(tmp_path)
    digest = x509.load_pem_x509_certificate(files[0].read_bytes()).fingerprint(hashes.SHA256())
    assert tls.fingerprint(files) == digest.hex(":").upper()


def test_certificate_names_this_machine(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(tls.user_certificate(tmp_path)[0].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in map(str, names.get_values_for_type(x509.IPAddress))


def test_certificate_that_runs_out_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "DAYS", tls.RENEW_BEFORE - 1)
    before = tls.user_certificate(tmp_path)[0].read_bytes()
    monkeypatch.undo()
    renewed = x509.load_pem_x509_certificate(tls.user_certificate(tmp_path)[0].read_bytes())
    assert renewed != x509.load_pem_x509_certificate(before)
    left = renewed.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    assert left > datetime.timedelta(days=tls.RENEW_BEFORE)


def test_unwritable_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        tls.user_certificate(tmp_path / "file")
