"""Where jobs work, one place a purpose, and what killed ones have left there. Each knows its own by mark and lock."""

from pathlib import Path

from app.paths import Paths
from backends.ownership.directory import NotOurs
from backends.ownership.workshop import Workshops


def quantizing(models: Path) -> Workshops:
    """Within the library, so that the last step is a rename."""
    return Workshops(models / ".quantizing", "quantizing")


def incoming(models: Path) -> Workshops:
    """In the library, hidden from its list, on its disk."""
    return Workshops(models, "incoming", prefix=".incoming-", follows=True)


def guide(cache: Path) -> Workshops:
    return Workshops(cache, "guide", prefix="guide-", follows=True)


def demo(cache: Path) -> Workshops:
    return Workshops(cache, "demo", prefix="demo-", follows=True)


def bench(cache: Path) -> Workshops:
    return Workshops(cache, "bench", prefix="bench-", follows=True)


def making(cache: Path) -> Workshops:
    """Of engine builds."""
    return Workshops(cache, "build", prefix="build-", follows=True)


def evaluation(cache: Path) -> Workshops:
    """Beside the references that grow in it."""
    return Workshops(cache / "evaluations", "evaluation", prefix="work-")


def clear_leftovers(paths: Paths) -> list[str]:
    """At the start: what is not at work goes. Sentences for places that are none of ours."""
    places = {
        "Models cannot be quantized": quantizing(paths.models),
        "Models cannot be brought in": incoming(paths.models),
        "The guide cannot be installed": guide(paths.cache),
        "The demo cannot run": demo(paths.cache),
        "The guide cannot be measured": bench(paths.cache),
        "The engine cannot be built": making(paths.cache),
        "Models cannot be measured": evaluation(paths.cache),
    }
    return [sentence for what, workshops in places.items() if (sentence := _clear(what, workshops))]


def _clear(what: str, workshops: Workshops) -> str | None:
    try:
        workshops.clear()
    except NotOurs as fault:
        return f"{what}: {fault}"
    except OSError:  # who wants to work there will be told
        pass
    return None
