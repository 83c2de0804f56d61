"""The hits of a search as Qt sees them. Asks on a worker, page by page as the list is scrolled; drops stale answers."""

from enum import IntEnum
from functools import partial
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from app.hub.client import HubClient, Page
from app.hub.repository import RepositorySummary, SearchQuery
from ui.bridge import Bridge
from ui.hub.words import hit_detail, popularity

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class ResultRole(IntEnum):
    SUMMARY = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3


class ResultsModel(QAbstractListModel):
    began = Signal()  # a search, or its next page
    arrived = Signal()
    failed = Signal(object)  # Exception

    def __init__(self, client: HubClient, bridge: Bridge):
        super().__init__(bridge)
        self._client = client
        self._bridge = bridge
        self._number = 0  # of the newest search: what an older one answers is of no interest
        self._query: SearchQuery | None = None
        self._following: str | None = None
        self._is_busy = False
        self._has_failed = False
        self.hits: list[RepositorySummary] = []

    def search(self, query: SearchQuery) -> None:
        """What was found before stays until the first page is here."""
        self._number += 1
        self._query = query
        self._following = None
        self._ask(partial(self._client.page, query), self._show)

    def retry(self) -> None:
        """What failed last: the search, or its next page."""
        self._has_failed = False
        if self._following:
            self.fetchMore(ROOT)
        elif self._query:
            self.search(self._query)

    def clear(self) -> None:
        self._number += 1
        self._query = self._following = None
        self._is_busy = self._has_failed = False
        self._replace(())

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and bool(self._following) and not self._is_busy and not self._has_failed

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent) and self._query:
            following = self._following
            self._ask(partial(self._client.page, self._query, following=following), self._append)

    def row_of(self, id_: str | None) -> int | None:
        return next((row for row, hit in enumerate(self.hits) if hit.id == id_), None)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        hit = self.hits[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.ToolTipRole:
                return hit.id
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{hit.id}, {hit_detail(hit)}, {popularity(hit.downloads)} downloads"
            case ResultRole.SUMMARY:
                return hit
            case ResultRole.NOTE:
                return popularity(hit.downloads)
            case ResultRole.DETAIL:
                return hit_detail(hit)
        return None

    def _ask(self, question: "partial[Page]", show: Any) -> None:
        number = self._number
        self._is_busy, self._has_failed = True, False
        self.began.emit()
        self._bridge.call(question, partial(self._take, number, show), partial(self._fail, number))

    def _take(self, number: int, show: Any, page: Page) -> None:
        if number == self._number:
            self._is_busy = False
            self._following = page.following
            show(page.hits)
            self.arrived.emit()

    def _fail(self, number: int, error: Exception) -> None:
        if number == self._number:
            self._is_busy, self._has_failed = False, True
            if self._following is None:
                self._replace(())
            self.failed.emit(error)

    def _show(self, hits: tuple[RepositorySummary, ...]) -> None:
        self._replace(hits)

    def _append(self, hits: tuple[RepositorySummary, ...]) -> None:
        known = {hit.id for hit in self.hits}
        fresh = [hit for hit in hits if hit.id not in known]  # the order may have changed between two pages
        if fresh:
            self.beginInsertRows(ROOT, len(self.hits), len(self.hits) + len(fresh) - 1)
            self.hits.extend(fresh)
            self.endInsertRows()

    def _replace(self, hits: tuple[RepositorySummary, ...]) -> None:
        if self.hits or hits:
            self.beginResetModel()
            self.hits = list(hits)
            self.endResetModel()
