"""The repository that is open: fetched on a worker, with the header of the model that is looked at. Knows no widget."""

from functools import partial

from PySide6.QtCore import QObject, Signal

from app.errors import HubError
from app.hub.client import HubClient
from app.hub.repository import Repository, Variant, VariantKind
from app.hub.tokens import TokenStore
from backends.formats.gguf import Header
from ui.bridge import Bridge


class RepositoryDesk(QObject):
    began = Signal(str)  # the repository's name
    opened = Signal()
    failed = Signal(object)  # Exception
    header_read = Signal()
    header_failed = Signal(str, object)  # path, HubError
    noted = Signal(str)  # about the token

    def __init__(self, client: HubClient, tokens: TokenStore, bridge: Bridge):
        super().__init__(bridge)
        self._client = client
        self._tokens = tokens
        self._bridge = bridge
        self._number = 0  # of the newest question; answers to older ones are dropped
        self._peeked: set[str] = set()  # paths whose header is there or on its way
        self.asked: str | None = None  # id of the repository that is open, or on its way
        self.repository: Repository | None = None
        self.headers: dict[str, Header] = {}  # by path

    def open(self, id_: str) -> None:
        self._number += 1
        self.asked = id_
        self.repository = None
        self.headers, self._peeked = {}, set()
        self.began.emit(id_)
        number = self._number
        self._bridge.call(
            partial(self._client.repository, id_), partial(self._show, number), partial(self._fail, number)
        )

    def retry(self) -> None:
        if self.asked:
            self.open(self.asked)

    def close(self) -> None:
        self._number += 1
        self.asked = self.repository = None

    def peek(self, variant: Variant) -> None:
        """Read the header of its first file, once."""
        repository, file = self.repository, variant.files[0]
        if repository is None or variant.kind is not VariantKind.GGUF or file.path in self._peeked:
            return
        self._peeked.add(file.path)
        number = self._number
        self._bridge.call(
            partial(self._client.peek_header, repository.id, repository.commit, file),
            partial(self._keep_header, number, file.path),
            partial(self._miss_header, number, file.path),
        )

    def use_token(self, token: str) -> None:
        """Keep it and open the repository anew, with it."""
        self._bridge.call(partial(self._tokens.save, token), self._reopen, lambda error: self.noted.emit(str(error)))

    def _reopen(self, note: str | None) -> None:
        """note: why the token could not be kept; it holds for now."""
        self.retry()
        if note:
            self.noted.emit(note)

    def _show(self, number: int, repository: Repository) -> None:
        if number == self._number:
            self.repository = repository
            self.opened.emit()

    def _fail(self, number: int, error: Exception) -> None:
        if number == self._number:
            self.failed.emit(error)

    def _keep_header(self, number: int, path: str, header: Header) -> None:
        if number == self._number:
            self.headers[path] = header
            self.header_read.emit()

    def _miss_header(self, number: int, path: str, error: Exception) -> None:
        if number == self._number and isinstance(error, HubError):
            self._peeked.discard(path)
            self.header_failed.emit(path, error)
