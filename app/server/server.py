"""The port as the application sees it: opens, tells its address, closes."""

from typing import TYPE_CHECKING

from app.errors import UsageError
from app.server import address
from app.server.auth import is_loopback
from app.server.directory import ModelDirectory
from app.server.switchboard import Switchboard

if TYPE_CHECKING:
    from app.server.listener import Listener

LOAD_SECONDS = 600.0
MAX_BODY = 8 * 2**20


class Server:
    """start() and stop() may alternate; both are called from one thread, and return when it is done."""

    def __init__(self, directory: ModelDirectory, load_seconds: float = LOAD_SECONDS, max_body: int = MAX_BODY):
        self._directory = directory
        self._load_seconds = load_seconds
        self._max_body = max_body
        self._listener: Listener | None = None
        self._switchboard: Switchboard | None = None
        self._address: str | None = None

    @property
    def address(self) -> str | None:
        """The base URL while it listens."""
        return self._address

    @property
    def num_requests(self) -> int:
        """Requests for text in flight, those that wait for a load included."""
        return self._switchboard.num_exchanges if self._switchboard else 0

    def start(self, host: str = "127.0.0.1", port: int = 8642, api_key: str | None = None) -> str:
        """Listen, and return the base URL. Raises PortInUseError, and UsageError for an open door without a key."""
        assert not self._listener, "started twice"
        if not is_loopback(host) and not api_key:
            raise UsageError(f"“{host}” can be reached from other machines, so the port needs an API key.")
        socket = address.bind(host, port)
        from app.server.listener import Listener  # FastAPI takes half a second to import

        self._switchboard = Switchboard(self._directory, self._load_seconds)
        self._listener = Listener(self._switchboard, socket, host, api_key or None, self._max_body)
        self._address = address.url(host, socket.getsockname()[1])
        return self._address

    def stop(self) -> None:
        """Returns within two seconds, also with open streams."""
        listener, self._listener, self._switchboard, self._address = self._listener, None, None, None
        if listener:
            listener.stop()
