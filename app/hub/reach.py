"""Whether a host can be reached at all, known in under a second.

An HTTP client tries address after address with its full patience, and waits for a dead name server; a person
without a network should not. All addresses are tried at once, under one deadline.
"""

import errno
import selectors
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

SECONDS = 0.9
UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)

Address = tuple[int, Any]  # family, and what connect() takes


def is_reachable(host: str, port: int, seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    addresses = _resolve(host, port, seconds)
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for sock in map(_begin, addresses):
            if sock is not None:
                selector.register(stack.enter_context(sock), selectors.EVENT_WRITE)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    return True
                selector.unregister(key.fileobj)
    return False


def _begin(address: Address) -> socket.socket | None:
    family, target = address
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError:  # no IPv6 here
        return None
    sock.setblocking(False)
    if sock.connect_ex(target) in UNDER_WAY:
        return sock
    sock.close()
    return None


def _resolve(host: str, port: int, seconds: float) -> list[Address]:
    """On a thread of its own: a name server that is gone holds getaddrinfo for many seconds."""
    found: list[Address] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend((family, address) for family, _, _, _, address in answers)

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    return list(found)
