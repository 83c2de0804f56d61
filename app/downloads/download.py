"""Several files at once: space first, then a few connections side by side, progress and the end of all."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from app.downloads.patience import Patience
from app.downloads.source import Source
from app.downloads.transfer import Transfer


def download(
    sources: Sequence[tuple[Source, Path]],
    on_progress: Callable[[Transfer], None],
    stop: threading.Event,
    *,
    patience: Patience | None = None,
) -> None:
    """Returns when every file is whole, verified, synced and under its name. Files that are there already stay.

    on_progress is called on this thread, at most ten times a second. Raises DownloadError with one sentence or two,
    or Cancelled within a second of `stop`; what has come so far stays in `NAME.part` beside `NAME.part.json`, and the
    next call goes on from there. Whoever calls sees to it that no other process downloads to the same place.
    """
    raise NotImplementedError
