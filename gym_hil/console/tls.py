"""TLS for a console that other machines can reach, by default with a certificate of this user's own."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from gym_hil.display import TlsOption
from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.files import expand_path, user_config_dir

DAYS = 365
RENEW_BEFORE = 30  # days


def ssl_context(tls: TlsOption | None) -> ssl.SSLContext | None:
    """What encrypts: with the certificate of this user if True, or (certificate, key), two files; None for False.

    Raises the errors of `user_certificate`, and a DeviceError where a certificate cannot be used.
    """
    if not tls:
        return None
    certificate, key = user_certificate() if isinstance(tls, bool) else map(expand_path, tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise DeviceError(f"The certificate {certificate} with the key {key} cannot be used: {error}.") from error
    return context


def fingerprint(tls: TlsOption) -> str:
    """SHA-256 of the certificate that `ssl_context` has used, as browsers show it: `AB:CD:...`."""
    certificate = user_certificate()[0] if isinstance(tls, bool) else expand_path(tls[0])
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))).hexdigest().upper()
    return ":".join(digest[k : k + 2] for k in range(0, len(digest), 2))


def user_certificate(folder: Path | None = None) -> tuple[Path, Path]:
    """Files with the certificate and the key of this user; made when they are missing or run out.

    Args:
        folder: where they are; by default the user's folder for configuration.

    Returns:
        Certificate and key, both PEM. Only this user can read the key.

    Raises:
        ConfigurationError: this user has no home directory.
        MissingExtraError: the extra `web` is not installed.
        DeviceError: the folder cannot be written to.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise MissingExtraError("A certificate of one's own needs cryptography: pip install 'gym-hil[web]'") from error
    folder = folder or user_config_dir()
    certificate_path, key_path = folder / "console-certificate.pem", folder / "console-key.pem"
    now = datetime.datetime.now(datetime.timezone.utc)
    if key_path.exists() and _is_current(certificate_path, now, x509):
        return certificate_path, key_path

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gym-hil console")])
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _machine_names()]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Private from its first byte on; a file that is there already would keep the mode it has.
        key_path.unlink(missing_ok=True)
        with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise DeviceError(f"The console's certificate cannot be written to {folder}: {error}.") from error
    return certificate_path, key_path


def _is_current(path: Path, now: datetime.datetime, x509: Any) -> bool:
    with contextlib.suppress(OSError, ValueError):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.not_valid_after_utc - now > datetime.timedelta(days=RENEW_BEFORE)
    return False


def _machine_names() -> list[str]:
    # Names that are not ASCII cannot stand in a certificate as they are.
    return sorted({name for name in ("localhost", socket.gethostname(), socket.getfqdn()) if name.isascii()})
