"""Several files at once: space first, then a few connections side by side, progress and the end of all."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from app.downloads.board import Board
from app.downloads.crew import Crew
from app.downloads.fetch import Fetch
from app.downloads.patience import Patience
from app.downloads.places import check_places, check_space
from app.downloads.source import Source
from app.downloads.transfer import Transfer
from app.errors import Cancelled

TICK_SECONDS = 0.1


def download(
    sources: Sequence[tuple[Source, Path]],
    on_progress: Callable[[Transfer], None],
    stop: threading.Event,
    *,
    patience: Patience | None = None,
) -> None:
    """Returns when every file is whole, verified, synced and under its name. Files that are there already stay.

    on_progress is called on this thread, at most ten times a second and once at the end. Raises DownloadError with one
    sentence or two, or Cancelled within a second of `stop`; what has come so far stays in `NAME.part` beside
    `NAME.part.json`, and the next call goes on from there. Whoever calls sees to it that no other process downloads to
    the same place.
    """
    patience = patience or Patience()
    fetches = [Fetch(source, target, patience) for source, target in sources]
    check_places(fetches)
    check_space(fetches)
    board = Board(fetches)
    told = 0.0
    with Crew(fetches, patience.connections) as crew:
        while not stop.is_set():
            is_done = not fetches or crew.wait(TICK_SECONDS)
            if is_done or time.monotonic() - told >= TICK_SECONDS:
                told = time.monotonic()
                on_progress(board.look(told, crew.num_left))
            if is_done:
                return
        raise Cancelled("Cancelled.")
