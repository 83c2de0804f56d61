"""The thread that brings bytes to the disk ends whenever it is told to, and what it was told is not lost."""

import errno
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.downloads import Source, flusher
from app.downloads.flusher import Flusher
from app.downloads.part import Part


def test_a_close_just_before_it_falls_asleep_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        """Between the thread's waking and its forgetting of why, the other one closes."""

        def clear(self) -> None:
            made._is_closed = True
            self.set()
            super().clear()

    monkeypatch.setattr(flusher, "threading", SimpleNamespace(Event=Interrupted, Thread=threading.Thread))
    with (tmp_path / "file").open("wb") as file:
        made = Flusher(file.fileno())
        made.wrote(flusher.EVERY)
        made._thread.join(5)
        is_alive = made._thread.is_alive()
        made.close(None)
    assert not is_alive


def test_a_failure_that_the_last_sync_overlaps_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells of a failed write once: to the flusher, which is at work when the last sync comes."""
    is_syncing, go_on = threading.Event(), threading.Event()

    def sync(_descriptor: int) -> None:
        is_syncing.set()
        assert go_on.wait(10)
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(flusher, "_sync", sync)
    monkeypatch.setattr(flusher, "EVERY", 1)
    part = Part(Source("http://hub.example/file", {}, 3), tmp_path / "file")
    part.begin(None)
    part.write(memoryview(b"abc"))
    assert is_syncing.wait(10)
    timer = threading.Timer(0.2, go_on.set)  # well after the last sync has begun
    timer.start()
    with pytest.raises(OSError, match="the disk is broken"):
        part.sync()
    timer.join()
    part.close()
