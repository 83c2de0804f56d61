"""Binds the port, and says what to do when that does not work."""

import errno
import os
import socket
import sys
from contextlib import suppress

from app.errors import PortInUseError, UsageError

BACKLOG = 128
NUM_TRIED = 50
HIGHEST_PORT = 65_535


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises PortInUseError and UsageError."""
    try:
        return _listen(host, port)
    except socket.gaierror as error:
        raise UsageError(f"There is no address “{host}” on this machine ({error.strerror}).") from error
    except OSError as error:
        if _is_taken(error):
            raise PortInUseError(port, _next_free(host, port)) from error
        if isinstance(error, PermissionError):
            raise UsageError(f"The system does not allow port {port}. Choose one from 1024 up.") from error
        raise UsageError(f"Port {port} on “{host}” cannot be opened: {error.strerror}.") from error


def require_bindable(host: str, port: int) -> None:
    """Before work that is in vain without the port. Raises as `bind`."""
    bind(host, port).close()


def url(host: str, port: int, scheme: str = "http") -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def from_here(url: str) -> str:
    """How programs of this machine reach a port that listens at all of its addresses."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _is_taken(error: OSError) -> bool:
    """Windows refuses a port that another program holds for itself as if it were a matter of rights."""
    return error.errno == errno.EADDRINUSE or (os.name == "nt" and error.errno == errno.EACCES)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        _make_exclusive(listener)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _make_exclusive(listener: socket.socket) -> None:
    if sys.platform == "win32":  # there SO_REUSEADDR would let two programs share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:  # a restart need not wait for the connections of the last run
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _next_free(host: str, port: int) -> int | None:
    for candidate in range(port + 1, min(port + NUM_TRIED, HIGHEST_PORT) + 1):
        with suppress(OSError), _listen(host, candidate):
            return candidate
    return None
