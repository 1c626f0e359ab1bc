"""The socket of a server, and the names by which an operator reaches it."""

from __future__ import annotations

import getpass
import os
import socket
import ssl
import sys

from gym_hil.display import TlsOption
from gym_hil.errors import DeviceError

PORTS = range(8850, 8870)  # the first that is free, if none is asked for; then any


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
        host: address.
        port: None takes the first free one of `PORTS`, 0 any.

    Raises:
        DeviceError: the address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = [*PORTS, 0] if port is None else [port]
    for candidate in wanted:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(64)
        except (OSError, OverflowError) as error:
            listener.close()
            if candidate == wanted[-1]:
                raise DeviceError(
                    f"The console cannot listen at {host} port {port}: {error}. Choose another port, or none to have a "
                    "free one."
                ) from error
        else:
            return listener
    raise AssertionError("unreachable: the last candidate either listens or raises")


def ssl_context(tls: TlsOption) -> ssl.SSLContext | None:
    """What encrypts, or None.

    Args:
        tls: True uses the certificate of this user; or (certificate, key), two files.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        DeviceError: the certificate cannot be made or used.
    """
    if not tls:
        return None
    from gym_hil.console.tls import user_certificate

    certificate, key = user_certificate() if isinstance(tls, bool) else tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise DeviceError(f"The certificate {certificate} with the key {key} cannot be used: {error}.") from error
    return context


def own_address() -> str:
    """The address by which the local network knows this machine, or else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which way a packet would take. The address is one of RFC 5737's examples.
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def ssh_target() -> tuple[str, str]:
    """User and server as the operator's own ssh command would name them, as far as one can know."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "USER"
    # client address, client port, server address, server port
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return user, connection[2] if len(connection) == 4 else socket.gethostname()
