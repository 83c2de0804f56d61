"""How a search is written for the Hub, and which of its hits are meant. Knows queries and addresses, no network."""

import re
from urllib.parse import parse_qsl, urlsplit

from app.hub.answers import LICENSE_TAG
from app.hub.repository import Format, RepositorySummary, SearchQuery, Sort
from app.hub.transport import Parameters

SIFTED_PAGE = 100  # asked for at a time when hits are sorted out here
MAX_CURSOR = 4096
EXPAND = ("downloads", "likes", "lastModified", "tags", "gated", "gguf", "safetensors", "config")
SORTS = {Sort.DOWNLOADS: "downloads", Sort.LIKES: "likes", Sort.UPDATED: "lastModified"}
TAGS = {"qwen3moe": "qwen3_moe", "gpt-oss": "gpt_oss"}  # architectures whose name differs between GGUF and the Hub
NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')


def parameters(query: SearchQuery, limit: int) -> Parameters:
    filters = [query.format.value] if query.format else []
    if query.architecture and query.format is Format.SAFETENSORS:
        filters.append(TAGS.get(query.architecture, query.architecture))
    elif query.architecture:
        limit = max(limit, SIFTED_PAGE)  # the tags of converted models do not name it
    if query.license:
        filters.append(f"{LICENSE_TAG}{query.license}")
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


def is_meant(hit: RepositorySummary, query: SearchQuery) -> bool:
    """What the Hub does not sort out, or not for every format."""
    if query.architecture and not _is_of(hit, query.architecture):
        return False
    size = hit.parameters
    return size is None or (query.min_parameters or 0) <= size <= (query.max_parameters or size)


def _is_of(hit: RepositorySummary, architecture: str) -> bool:
    wanted = _plain(architecture)
    return _plain(hit.architecture or "") in (wanted, f"{wanted}text") or architecture in hit.tags


def _plain(architecture: str) -> str:
    return architecture.lower().replace("_", "").replace("-", "")


def following(link: str) -> str | None:
    """The query of the next page's address; the rest of that is ours, wherever a mirror would send us."""
    match = NEXT.search(link)
    query = urlsplit(match[1]).query if match else ""
    return query if 0 < len(query) <= MAX_CURSOR else None


def cursor(page: str) -> Parameters:
    return [(name, value) for name, value in parse_qsl(page, keep_blank_values=True)]
