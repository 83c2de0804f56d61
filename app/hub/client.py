"""The Hub as the application asks it: search, a repository's page, a model's header before its download.

Blocks; never call it from the GUI thread. Whatever goes wrong is a HubError with a sentence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.errors import HubError
from app.hub import answers, faults, fields, listing
from app.hub.card import MAX_BYTES as MAX_CARD
from app.hub.card import readable
from app.hub.checkpoint import INDEX, shards_of
from app.hub.connection import READ_SECONDS, Connection
from app.hub.header import read_header
from app.hub.names import checked_path, checked_repository, checked_revision
from app.hub.repository import HubFile, Repository, RepositorySummary, SearchQuery
from app.hub.tokens import TokenStore
from app.hub.transport import Answer
from app.hub.variants import variants
from backends.formats.gguf import Header

PAGE = 30
MAX_PAGES = 5  # asked at most for one of ours, when hits are sorted out here
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Page:
    """following: hand it back for the next page; None after the last."""

    hits: tuple[RepositorySummary, ...]
    following: str | None


class HubClient:
    """endpoint: None follows HF_ENDPOINT. timeout: seconds of silence. close() ends what is under way."""

    def __init__(
        self,
        endpoint: str | None = None,
        token: Callable[[], str | None] | None = None,
        timeout: float = READ_SECONDS,
    ):
        self._connection = Connection(endpoint, token or TokenStore().token, timeout)

    @property
    def host(self) -> str:
        return self._connection.host

    def headers(self) -> dict[str, str]:
        """What lets the person in: for files of this endpoint, and to go nowhere else."""
        return self._connection.headers()

    def page_address(self, id_: str) -> str:
        return f"{self._connection.endpoint}/{checked_repository(id_)}"

    def file_address(self, id_: str, commit: str, path: str) -> str:
        return f"{self.page_address(id_)}/resolve/{_quoted(checked_revision(commit))}/{quote(checked_path(path))}"

    def search(self, query: SearchQuery, limit: int = PAGE) -> list[RepositorySummary]:
        """Up to `limit` hits, over as many pages as that takes; fewer when they are too rare."""
        page = self.page(query, limit)
        found = list(page.hits)
        for _ in range(MAX_PAGES):
            if not page.following or len(found) >= limit:
                break
            page = self.page(query, limit, page.following)
            found.extend(page.hits)
        return found[:limit]

    def page(self, query: SearchQuery, limit: int = PAGE, following: str | None = None) -> Page:
        """A first page, or the one that `following` stands for."""
        hits: list[RepositorySummary] = []
        parameters = listing.parameters(query, limit) if following is None else listing.cursor(following)
        for _ in range(MAX_PAGES):
            answer = self._connection.get(f"{self._connection.endpoint}/api/models", params=parameters)
            found = [hit for item in self._list(answer) if (hit := answers.summary(item))]
            hits.extend(hit for hit in found if listing.is_meant(hit, query))
            following = listing.following(answer.headers.get("link", ""))
            if following is None or len(hits) >= limit // 2:
                break
            parameters = listing.cursor(following)
        return Page(tuple(hits), following)

    def repository(self, id_: str, revision: str | None = None) -> Repository:
        """With its card and its variants; a card or an index that cannot be had is left out."""
        about = checked_repository(id_)
        at = f"/revision/{_quoted(checked_revision(revision))}" if revision else ""
        address = f"{self._connection.endpoint}/api/models/{about}{at}"
        item = self._mapping(self._connection.get(address, about=about, params=[("blobs", "true")]))
        commit = answers.commit(item)
        if commit is None:
            raise faults.broken(self.host, "it does not say which commit it is about")
        files = answers.files(item)
        index = self._small_file(about, commit, files, INDEX)
        card = self._small_file(about, commit, files, CARD, MAX_CARD)
        return Repository(
            id=answers.renamed(item, about),
            commit=commit,
            files=files,
            variants=variants(files, shards_of(index) if index else None),
            gate=answers.gate(item),
            page=self.page_address(about),
            card=readable(card) if card else "",
            tags=fields.tags(item.get("tags")),
            downloads=fields.number(item.get("downloads")) or 0,
            likes=fields.number(item.get("likes")) or 0,
            updated=fields.moment(item.get("lastModified")),
            license=answers.license_of(item),
            architecture=answers.architecture(item),
            parameters=answers.parameters(item),
            context=answers.context(item),
        )

    def peek_header(self, id_: str, commit: str, file: HubFile) -> Header:
        """The header of a GGUF file that is still there, by ranges. Raises HubError when it is not a sound one."""
        address = self.file_address(id_, commit, file.path)
        return read_header(file, lambda first, count: self._range(address, id_, file, first, count))

    def close(self) -> None:
        self._connection.close()

    def _range(self, address: str, about: str, file: HubFile, first: int, count: int) -> bytes:
        answer = self._connection.get(address, about=about, first=first, count=count)
        size = answer.headers.get("content-range", "").rpartition("/")[2] or str(file.bytes)
        if len(answer.body) != count or size != str(file.bytes):
            raise faults.broken(self.host, f"{file.name} is not as long as its page says")
        return answer.body

    def _small_file(
        self, about: str, commit: str, files: tuple[HubFile, ...], path: str, limit: int | None = None
    ) -> bytes | None:
        """None when there is none, or when it is kept from this person: the page works without."""
        file = next((file for file in files if file.path == path), None)
        if file is None or not file.bytes:
            return None
        count = None if limit is None else min(limit, file.bytes)
        first = None if count is None else 0
        try:
            return self._connection.get(
                self.file_address(about, commit, path), about=about, first=first, count=count
            ).body
        except HubError:
            return None

    def _list(self, answer: Answer) -> list[Any]:
        value = self._json(answer)
        if not isinstance(value, list):
            raise faults.broken(self.host, "it is no list of models")
        return value

    def _mapping(self, answer: Answer) -> Mapping[str, Any]:
        value = self._json(answer)
        if not isinstance(value, dict):
            raise faults.broken(self.host, "it describes no repository")
        return value

    def _json(self, answer: Answer) -> Any:
        try:
            return fields.parse(answer.body)
        except ValueError:
            raise faults.broken(self.host, "it is not JSON") from None


def _quoted(revision: str) -> str:
    return quote(revision, safe="")
