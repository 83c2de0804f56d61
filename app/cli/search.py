"""`slipstream search`: models of the Hub that answer to some words."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.hub.repository import RepositorySummary, SearchQuery

FORMATS = ("gguf", "safetensors")
SORTS = {"downloads": "downloads", "likes": "likes", "updated": "last_modified"}
MAX_LIMIT = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="parts of the repository's name, e.g. qwen3 8b")
    parser.add_argument("--format", choices=FORMATS, help="only ready model files, or only checkpoints")
    parser.add_argument("--sort", choices=tuple(SORTS), default="downloads", help="the order (downloads)")
    parser.add_argument("--author", help="whose repositories, e.g. Qwen")
    parser.add_argument("--license", help="as the Hub names it, e.g. apache-2.0")
    parser.add_argument("--architecture", help="as the model's configuration names it, e.g. qwen3")
    parser.add_argument("--min-parameters", metavar="N", help="e.g. 500M or 7B")
    parser.add_argument("--max-parameters", metavar="N", help="the same")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help=f"models, at most {MAX_LIMIT} (20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.terminal import show
    from app.hub.client import HubClient

    query, limit = _query(arguments), _limit(arguments.limit)
    client = HubClient()
    try:
        hits = client.search(query, limit)
    finally:
        client.close()
    nothing = "Nothing found. Fewer words or fewer conditions find more."
    show(arguments, {"models": list(map(_record, hits))}, lambda: "\n".join(map(_line, hits)) or nothing)
    return 0


def _query(arguments: argparse.Namespace) -> "SearchQuery":
    from app.hub.repository import Format, SearchQuery, Sort

    return SearchQuery(
        text=" ".join(arguments.words),
        format=Format(arguments.format) if arguments.format else None,
        sort=Sort(SORTS[arguments.sort]),
        license=arguments.license,
        architecture=arguments.architecture,
        author=arguments.author,
        min_parameters=_number(arguments.min_parameters),
        max_parameters=_number(arguments.max_parameters),
    )


def _limit(limit: int) -> int:
    from app.errors import UsageError

    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"--limit is a number from 1 to {MAX_LIMIT}.")
    return limit


def _number(text: str | None) -> int | None:
    """ "7B" as 7,000,000,000."""
    from app.errors import UsageError

    if text is None:
        return None
    unit = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1:].upper())
    try:
        number = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        number = -1
    if not 0 <= number < 1e15:
        raise UsageError(f"“{text}” is no number of parameters. Write it like 500M or 7B.")
    return int(number)


def _record(hit: "RepositorySummary") -> dict[str, Any]:
    return {
        "id": hit.id,
        "downloads": hit.downloads,
        "likes": hit.likes,
        "updated": hit.updated.isoformat() if hit.updated else None,
        "license": hit.license,
        "architecture": hit.architecture,
        "parameters": hit.parameters,
        "context": hit.context,
        "formats": [format_.value for format_ in hit.formats],
        "gated": hit.gate.value,
    }


def _line(hit: "RepositorySummary") -> str:
    size = f"{hit.parameters / 1e9:.1f}B" if hit.parameters else ""
    gate = "gated" if hit.gate.value != "no" else ""
    facts = [size, hit.architecture or "", hit.license or "", f"{hit.downloads:,} downloads", gate]
    return f"{hit.id:<56} {'  '.join(fact for fact in facts if fact)}"
