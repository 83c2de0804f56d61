"""One GET with its redirects: big reads into the caller's buffer, an end from outside. Knows no file.

http.client and not the Hub library's client: that hands out 64 kB at a time as new objects, at a fifth of the speed.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.message import Message
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from app.downloads.patience import Patience
from app.downloads.proxy import open_connection
from app.downloads.trouble import network_trouble
from app.errors import Cancelled, DownloadError

MAX_REDIRECTS = 8
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
SAFE = "!#$%&'()*+,/:;=?@[]~"  # as in an address that is quoted already
COMMON = {"Accept-Encoding": "identity", "User-Agent": "Slipstream"}


class Answer:
    """A status, its headers, and the body as it comes. A context manager."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket, host: str, is_elsewhere: bool):
        self.status = response.status
        self.headers: Message = response.headers
        self.host = host
        self.is_elsewhere = is_elsewhere  # another origin than the one that was asked first
        self.length = response.length  # of the body; None when only its end will tell
        self._response = response
        self._sock = sock
        self._is_drained = False  # of what came together with the headers

    def readinto(self, buffer: memoryview) -> int:
        """The number of bytes, 0 at the end. Raises Trouble, or DownloadError."""
        try:
            if self._response.chunked:
                data = self._response.read1(len(buffer))
                buffer[: len(data)] = data
                return len(data)
            if self._is_drained:
                return self._sock.recv_into(buffer)
            self._is_drained = True
            return self._response.fp.readinto1(buffer)
        except (OSError, http.client.HTTPException) as fault:
            raise network_trouble(fault, self.host) from fault

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()


class Exchange:
    """One connection at a time, for one thread; `abort` may come from another."""

    def __init__(self, patience: Patience):
        self._patience = patience
        self._lock = threading.Lock()  # a socket must not come into use behind abort's back
        self._is_aborted = False
        self._connection: http.client.HTTPConnection | None = None
        self._sock: socket.socket | None = None

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        own: Mapping[str, str],
        look: Callable[[Message], None] = lambda _: None,
    ) -> Answer:
        """The first answer that is no redirect. `own` headers go to the origin of `url` alone.

        look: is shown the headers of that origin's redirects, and may raise.

        Raises Trouble, DownloadError, or Cancelled after `abort`.
        """
        address = url
        for _ in range(MAX_REDIRECTS):
            is_elsewhere = origin(address) != origin(url)
            answer = self._ask(address, {**COMMON, **headers, **({} if is_elsewhere else own)}, is_elsewhere)
            if answer.status not in REDIRECTS:
                return answer
            with answer:
                if not is_elsewhere:
                    look(answer.headers)
                address = next_address(address, answer.headers.get("Location"))
        raise DownloadError(f"{host(url)} sends in circles. Try again later, or look at its page in a browser.")

    def abort(self) -> None:
        with self._lock:
            self._is_aborted = True
            if self._sock is not None:
                with suppress(OSError):  # past TLS: its shutdown would wait for the other side
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._sock = None
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ask(self, address: str, headers: dict[str, str], is_elsewhere: bool) -> Answer:
        self.close()
        parts = split(address)
        try:
            connection, target = open_connection(parts, self._patience.connect, headers)
            sock = connection.sock
            with self._lock:
                self._connection, self._sock = connection, sock
                if self._is_aborted:
                    raise Cancelled("Cancelled.")
            sock.settimeout(self._patience.silence)
            connection.request("GET", target, headers=headers)
            return Answer(connection.getresponse(), sock, str(parts.hostname), is_elsewhere)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise network_trouble(fault, str(parts.hostname)) from fault


def next_address(address: str, location: str | None) -> str:
    """Where a redirect leads. Raises DownloadError for a way out of TLS or to something that is not HTTP."""
    target = quote(urljoin(address, location or ""), safe=SAFE)
    old, new = urlsplit(address), urlsplit(target)
    if not location or new.scheme not in PORTS or not new.hostname:
        raise DownloadError(f"{old.hostname} sends to an address that is none. Try again later.")
    if old.scheme == "https" and new.scheme != "https":
        raise DownloadError(
            f"{old.hostname} sends to {new.hostname} without encryption, which is refused: somebody may listen. "
            "Try again from another network."
        )
    return target


def origin(address: str) -> tuple[str, str, int]:
    parts = split(address)
    return parts.scheme, str(parts.hostname), parts.port or PORTS[parts.scheme]


def host(address: str) -> str:
    return str(split(address).hostname)


def split(address: str) -> SplitResult:
    """Raises DownloadError for what is no address of HTTP."""
    try:
        parts = urlsplit(address)
        if parts.scheme in PORTS and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise DownloadError(f"{address[:200]!r} is no address that could be downloaded from.")
