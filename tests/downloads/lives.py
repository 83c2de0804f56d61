"""A file fetched over several lives, each with random faults, versions and pauses. For the suite and the bench."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.downloads import Patience, Source, download
from app.errors import Cancelled, DownloadError
from tests.hub.double import HubDouble, HubRepo

REPO, NAME = "org/model", "model.gguf"
LARGEST = 3_000_000
HASTY = Patience(tries=4, first_wait=0.005, longest_wait=0.01, longest_order=1.0, silence=0.3)
OURS = {NAME, f"{NAME}.part", f"{NAME}.part.json"}

FAULTS: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda chance: {"cut_after": chance.randrange(LARGEST)},
    lambda _: {"cut_after": 0},
    lambda chance: {"stall_after": chance.randrange(LARGEST)},
    lambda chance: {"ignore_range": True, "cut_after": chance.randrange(LARGEST)},
    lambda _: {"bad_range": True},
    lambda _: {"wrong_bytes": True},
    lambda chance: {"surplus": chance.choice((1, 1000)), "no_length": chance.random() < 0.5},
    lambda chance: {"no_length": True, "cut_after": chance.randrange(LARGEST)},
    lambda chance: {"chunked": True, "cut_after": chance.choice((None, chance.randrange(LARGEST)))},
    lambda chance: {"etag": f"version {chance.randrange(3)}"},
    lambda chance: {"etag": "", "cut_after": chance.randrange(LARGEST)},
    lambda _: {"etag": "another", "ignore_if_range": True},
    lambda chance: {"status": chance.choice((401, 403, 404, 416, 429, 500, 503))},
)


def live(double: HubDouble, folder: Path, chance: random.Random, ends: Counter[str]) -> None:
    """Raises AssertionError when wrong bytes ever bear the final name, or when a last, quiet life does not do it."""
    versions = [chance.randbytes(size := chance.randrange(1, LARGEST)), chance.randbytes(size)]
    double.reset()
    for _ in range(chance.randrange(1, 4)):
        content = chance.choice((versions[0], versions[0], versions[0], versions[1]))
        double.add(HubRepo(REPO, {NAME: content}))
        for _ in range(chance.randrange(4)):
            on, times = chance.choice(("/cdn/*", "/cdn/*", "*")), chance.choice((1, 1, 2, None))
            double.fail(on=on, times=times, **chance.choice(FAULTS)(chance))
        ends[_life(double, folder, chance.random() * 0.3 if chance.random() < 0.3 else None)] += 1
        double.faults.clear()
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        assert names <= OURS, names
        assert NAME not in names or (folder / NAME).read_bytes() in versions
    assert _life(double, folder, None) == "done"
    assert (folder / NAME).read_bytes() == content
    assert [path.name for path in folder.iterdir()] == [NAME]


def _life(double: HubDouble, folder: Path, pause: float | None) -> str:
    """How it ended: "done", "paused", or the sentence without its numbers."""
    file = double.repos[REPO].file(NAME)
    assert file is not None
    stop = threading.Event()
    timer = threading.Timer(pause or 0.0, stop.set)
    if pause is not None:
        timer.start()
    try:
        source = Source(double.address(REPO, NAME), {}, file.bytes, file.sha256)
        download([(source, folder / NAME)], lambda _: None, stop, patience=HASTY)
    except Cancelled:
        return "paused"
    except DownloadError as error:
        return " ".join(word for word in str(error).split() if not any(c.isdigit() for c in word))
    finally:
        timer.cancel()
        if pause is not None:
            timer.join()
    return "done"
