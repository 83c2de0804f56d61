"""The Hub as the application asks it: search, a repository's page, a model's header before its download.

Blocks; never call it from the GUI thread. Whatever goes wrong is a HubError with a sentence.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from app.errors import HubError
from app.hub import answers, faults, fields
from app.hub.card import MAX_BYTES as MAX_CARD
from app.hub.card import readable
from app.hub.checkpoint import INDEX, shards_of
from app.hub.connection import READ_SECONDS, Answer, Connection, Parameters
from app.hub.header import read_header
from app.hub.names import checked_path, checked_repository, checked_revision
from app.hub.repository import Format, HubFile, Repository, RepositorySummary, SearchQuery, Sort
from app.hub.tokens import TokenStore
from app.hub.variants import variants
from backends.formats.gguf import Header

PAGE = 30
MAX_PAGES = 5  # asked at most for one of ours, when hits are sorted out here
MAX_CURSOR = 4096
EXPAND = ("downloads", "likes", "lastModified", "tags", "gated", "gguf", "safetensors", "config")
SORTS = {Sort.DOWNLOADS: "downloads", Sort.LIKES: "likes", Sort.UPDATED: "lastModified"}
NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')
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
        """Up to `limit` hits, over as many pages as that takes."""
        found: list[RepositorySummary] = []
        page = self.page(query, limit)
        found.extend(page.hits)
        while page.following and len(found) < limit:
            page = self.page(query, limit, page.following)
            found.extend(page.hits)
        return found[:limit]

    def page(self, query: SearchQuery, limit: int = PAGE, following: str | None = None) -> Page:
        """A first page, or the one that `following` stands for."""
        hits: list[RepositorySummary] = []
        parameters = _parameters(query, limit) if following is None else _cursor(following)
        for _ in range(MAX_PAGES):
            answer = self._connection.get(f"{self._connection.endpoint}/api/models", params=parameters)
            found = [hit for item in self._list(answer) if (hit := answers.summary(item))]
            hits.extend(hit for hit in found if _is_meant(hit, query))
            following = _following(answer)
            if following is None or len(hits) >= limit // 2:
                break
            parameters = _cursor(following)
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
            id=about,
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


def _parameters(query: SearchQuery, limit: int) -> Parameters:
    filters = [query.format.value] if query.format else []
    if query.architecture and query.format is not Format.GGUF:
        filters.append(query.architecture)  # the tags of converted models do not name it
    if query.license:
        filters.append(f"{answers.LICENSE_TAG}{query.license}")
    named = [
        ("search", " ".join(query.text.split())),
        ("author", query.author or ""),
        ("num_parameters", _sizes(query)),
    ]
    return [
        *((name, value) for name, value in named if value),
        *(("filter", value) for value in filters),
        ("sort", SORTS[query.sort]),
        ("limit", str(limit)),
        *(("expand", name) for name in EXPAND),
    ]


def _sizes(query: SearchQuery) -> str:
    """As the Hub writes it: "min:6000M,max:128000M"."""
    bounds = (("min", query.min_parameters), ("max", query.max_parameters))
    return ",".join(f"{side}:{number // 1_000_000}M" for side, number in bounds if number is not None)


def _is_meant(hit: RepositorySummary, query: SearchQuery) -> bool:
    """What the Hub does not sort out, or not for every format."""
    if query.architecture and hit.architecture and hit.architecture.lower() != query.architecture.lower():
        return False
    if query.architecture and query.format is Format.GGUF and not hit.architecture:
        return False
    size = hit.parameters
    return size is None or (query.min_parameters or 0) <= size <= (query.max_parameters or size)


def _following(answer: Answer) -> str | None:
    """The query of the next page's address; the rest of that is ours, wherever a mirror would send us."""
    match = NEXT.search(answer.headers.get("link", ""))
    query = urlsplit(match[1]).query if match else ""
    return query if 0 < len(query) <= MAX_CURSOR else None


def _cursor(following: str) -> Parameters:
    return [(name, value) for name, value in parse_qsl(following, keep_blank_values=True)]


def _quoted(revision: str) -> str:
    return quote(revision, safe="")
