"""One window for each data folder: the first start has it; a later one hands it what it was asked to open, and leaves.

The lock says whose it is, the socket beside it is only the way there: one that a dead window has left is taken over.
"""

import hashlib
import json
import logging
import os
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from backends.ownership.private import make_private_folder

PATIENCE = 10.0  # seconds for a window that is just opening or closing
ANSWER_MS = 2000
EVERY = 0.1
MAX_BYTES = 1 << 16  # of what is handed over
HEARD = b"heard\n"

_log = logging.getLogger(__name__)


class OneWindow:
    """Raises OSError where the folder for the lock is not this person's own."""

    def __init__(self, data: Path):
        name = hashlib.sha256(str(data.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        folder = _own_folder()
        self._lock = QLockFile(str(folder / f"{name}.lock"))
        self._lock.setStaleLockTime(0)  # it is as old as the window; Qt looks whether its process lives
        self.address = str(folder / f"{name}.socket") if sys.platform != "win32" else f"slipstream-{name}"

    def take(self) -> bool:
        """Whether the window is ours now, until `close` or the end of the process."""
        return self._lock.tryLock(0)

    def take_or_tell(self, files: Sequence[str], patience: float = PATIENCE) -> bool | None:
        """True: the window is ours. False: another has it and has heard. None: another has it and does not answer."""
        until = time.monotonic() + patience
        while True:
            if self.take():
                return True
            if self.tell(files):
                return False
            if time.monotonic() > until:
                return None
            time.sleep(EVERY)

    def tell(self, files: Sequence[str]) -> bool:
        """Ask the window that is open to come to the front with these files. Whether it has heard."""
        socket = QLocalSocket()
        socket.connectToServer(self.address)
        if not socket.waitForConnected(ANSWER_MS):
            return False
        socket.write(json.dumps(list(files)).encode() + b"\n")
        heard = socket.waitForReadyRead(ANSWER_MS) and bytes(socket.readAll().data()) == HEARD
        socket.close()
        return bool(heard)

    def listen(self) -> "Ear":
        """For the one that has taken it, once there is an application."""
        return Ear(self.address)

    def close(self) -> None:
        self._lock.unlock()


class Ear(QObject):
    """Hears later starts. What any of this person's programs sends is no more than a wish to look at files."""

    asked = Signal(list)  # the files, maybe none

    def __init__(self, address: str):
        super().__init__()
        QLocalServer.removeServer(address)  # of one that died
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._meet)
        if not self._server.listen(address):
            _log.warning("later starts will not be heard at %s: %s", address, self._server.errorString())

    def close(self) -> None:
        self._server.close()
        self.deleteLater()

    def _meet(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            Caller(socket, self)


class Caller(QObject):
    """One later start, until it has been heard or is gone."""

    def __init__(self, socket: QLocalSocket, ear: Ear):
        super().__init__(ear)
        socket.setParent(self)
        self._socket = socket
        self._ear = ear
        socket.readyRead.connect(self._hear)
        socket.disconnected.connect(self.deleteLater)
        self._hear()

    def _hear(self) -> None:
        if self._socket.bytesAvailable() > MAX_BYTES:
            self._socket.abort()
        elif self._socket.canReadLine():
            self._answer(bytes(self._socket.readLine().data()))

    def _answer(self, line: bytes) -> None:
        files: object = None
        with suppress(ValueError, RecursionError):
            files = json.loads(line)
        is_wish = isinstance(files, list) and all(isinstance(each, str) for each in files)
        if is_wish:
            self._socket.write(HEARD)
            self._socket.flush()
        self._socket.disconnectFromServer()
        if is_wish:
            self._ear.asked.emit(files)


def _own_folder() -> Path:
    """Where no other person can put a socket under our name. Raises OSError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if sys.platform == "win32":
        folder = Path(tempfile.gettempdir()) / "slipstream"  # the person's own
    elif runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "slipstream"
    else:
        folder = Path(tempfile.gettempdir()) / f"slipstream-{os.geteuid()}"
    make_private_folder(folder)
    if sys.platform != "win32":
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise OSError(f"{folder} is not this person's own folder")
    return folder
