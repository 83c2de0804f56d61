"""Questions to the Hub over HTTP: bounded in time and size, without retries. Knows no route and no meaning."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from app.errors import HubError, HubFault
from app.hub import environment, faults
from app.hub.address import origin
from app.hub.reach import is_reachable
from app.hub.transport import Answer, Parameters, faults_told, make_client, read_body

if TYPE_CHECKING:
    import httpx2

READ_SECONDS = 10.0
MAX_REDIRECTS = 5
KNOWN_SECONDS = 2.0  # that long after an answer the host counts as reachable
REDIRECTS = (301, 302, 303, 307, 308)


class Connection:
    """May be used by several threads. close() ends what is under way at once. Raises HubError and nothing else."""

    def __init__(self, endpoint: str | None, token: Callable[[], str | None], timeout: float):
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()  # the client is made by the first thread that asks, and closed by another
        self._client: httpx2.Client | None = None
        self._sockets: list[socket.socket] = []
        self._is_closed = False
        self._answered: dict[str, float] = {}  # host → when it last did

    @property
    def endpoint(self) -> str:
        """Without a slash at the end. Raises HubError when HF_ENDPOINT is no address."""
        address = self._endpoint or environment.endpoint()
        origin(address)
        return address

    @property
    def host(self) -> str:
        return origin(self.endpoint)[1]

    def headers(self) -> dict[str, str]:
        """For this endpoint alone."""
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def get(
        self,
        url: str,
        *,
        about: str | None = None,
        params: Parameters | None = None,
        first: int | None = None,
        count: int | None = None,
    ) -> Answer:
        """The whole answer, or `count` bytes of it from byte `first`. about: the repository, for the sentences."""
        endpoint = self.endpoint
        if environment.is_offline():
            raise HubError(HubFault.OFFLINE, "HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it and try again.")
        headers = {} if first is None or count is None else {"Range": f"bytes={first}-{first + count - 1}"}
        for _ in range(MAX_REDIRECTS):
            self._check_reach(*origin(url))  # before the keyring is asked, which may take its time
            own = self.headers() if origin(url) == origin(endpoint) else {}  # the token goes nowhere else
            answer = self._exchange(url, {**headers, **own}, params, first or 0, count)
            if answer.status not in REDIRECTS:
                break
            url, params = self._target(url, answer), None
        else:
            raise faults.broken(self.host, "it sends in circles")
        if not 200 <= answer.status < 300:
            if origin(url) != origin(endpoint):
                raise faults.refused_elsewhere(origin(url)[1], answer.status)
            raise faults.refusal(answer.status, answer.headers, endpoint, self.host, about, bool(self.headers()))
        return answer

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            client, self._client = self._client, None
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            _shut(sock)
        if client is not None:
            client.close()

    def _target(self, url: str, answer: Answer) -> str:
        target = urljoin(url, answer.headers.get("location", ""))
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise faults.broken(self.host, "it sends to an unsafe address")
        return target

    def _exchange(
        self, url: str, headers: dict[str, str], params: Parameters | None, first: int, count: int | None
    ) -> Answer:
        host = origin(url)[1]
        with faults_told(host, self._timeout):
            client = self._open()
            with client.stream(
                "GET", url, headers=headers, params=params, extensions={"trace": self._keep_socket}
            ) as response:
                self._answered[host] = time.monotonic()
                known = {name.lower(): value for name, value in response.headers.items()}
                body = b""
                if 200 <= response.status_code < 300:
                    if not known.get("content-range", f"bytes {first}-").startswith(f"bytes {first}-"):
                        raise faults.broken(host, "it sent another part of the file than the one asked for")
                    skip = first if response.status_code == 200 else 0  # 200: ranges are not served
                    body = read_body(response, host, skip, count)
                return Answer(response.status_code, known, body)

    def _check_reach(self, scheme: str, host: str, port: int) -> None:
        if time.monotonic() - self._answered.get(host, -KNOWN_SECONDS) < KNOWN_SECONDS:
            return
        proxies = getproxies()
        if (scheme in proxies or "all" in proxies) and not proxy_bypass(host):
            return
        if not is_reachable(host, port):
            raise faults.offline(host)

    def _open(self) -> "httpx2.Client":
        with self._lock:
            if self._is_closed:
                raise HubError(HubFault.OFFLINE, "Slipstream is closing.")
            if self._client is None:
                self._client = make_client(self._timeout)
            return self._client

    def _keep_socket(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            sock = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets = [old for old in self._sockets if old.fileno() >= 0]
                self._sockets.append(sock)
                is_late = self._is_closed
            if is_late:  # its client was closed while it connected: nobody else would wake it
                _shut(sock)


def _shut(sock: socket.socket) -> None:
    """Wakes a thread that waits for an answer; closing would not."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
