"""What is said of a repository, in few words. Unknown is left out."""

from app.hub.repository import Gate, Repository, RepositorySummary
from ui.figures import count, parameters

Facts = Repository | RepositorySummary
GAP = "  ·  "


def popularity(number: int) -> str:
    """A number of people, short: 1.2 M."""
    if number >= 1e6:
        return f"{number / 1e6:.1f} M"
    return f"{number / 1e3:.0f} k" if number >= 10_000 else count(number)


def hit_detail(hit: RepositorySummary) -> str:
    parts = [
        parameters(hit.parameters) if hit.parameters else "",
        hit.architecture or "",
        " and ".join(format_.value.upper() if format_.value == "gguf" else format_.value for format_ in hit.formats),
        hit.license or "",
        "on request" if hit.gate is not Gate.NO else "",
    ]
    return _joined(parts)


def figures(repository: Repository, context: int | None = None) -> str:
    """context: from a header that was read, which knows better than the page."""
    context = context or repository.context
    updated = repository.updated
    parts = [
        f"{parameters(repository.parameters)} parameters" if repository.parameters else "",
        repository.architecture or "",
        f"{count(context)} tokens of context" if context else "",
        f"{popularity(repository.downloads)} downloads",
        f"{popularity(repository.likes)} likes",
        f"changed {updated.day} {updated:%b %Y}" if updated else "",
    ]
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    """Lines break between the parts, not in them."""
    return GAP.join(part.replace(" ", "\u00a0") for part in parts if part)
