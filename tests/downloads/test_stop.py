"""Pause and cancel take effect at once, whatever the connection does."""

import socket
import threading

import pytest

from app.errors import Cancelled
from tests.downloads.conftest import CONTENT, LATE, NAME, REPO, Place
from tests.hub.double import HubRepo

MB = 1_000_000
AT_WORK = {
    "a stall in the file": {"on": "/cdn/*", "stall_after": MB},
    "a stall before the first byte": {"on": "/cdn/*", "stall_after": 0},
    "a trickle": {"on": "/cdn/*", "bytes_per_second": MB},
    "a long wait for the next try": {"on": "*", "status": 503},
    "a wait that the server wants": {"on": "*", "status": 429, "headers": {"Retry-After": "300"}},
}


@pytest.mark.parametrize("work", AT_WORK)
def test_a_stop_takes_effect_in(work: str, place: Place) -> None:
    place.double.fail(**AT_WORK[work])

    def look(_: object) -> None:
        if place.double.requests and len(place.transfers) >= 2:
            place.stop.set()

    place.on_progress = look
    with pytest.raises(Cancelled):
        place.fetch(patience=LATE)
    assert not place.target.exists()
    assert not {"download", "digest"} & {thread.name for thread in threading.enumerate()}  # woken, none left behind


def test_what_came_before_a_pause_is_gone_on_with(place: Place) -> None:
    place.double.fail(on="/cdn/*", stall_after=MB, times=1)
    place.pause_after(MB)
    assert place.part.stat().st_size == MB
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert place.double.finished_downloads()[-1].bytes_sent == len(CONTENT) - MB


def test_a_failure_of_one_file_ends_the_others_which_stay_to_be_gone_on_with(place: Place) -> None:
    place.double.add(HubRepo(REPO, {NAME: CONTENT, "other.gguf": CONTENT[::-1]}))
    place.double.fail(on=f"/cdn/*{NAME}", stall_after=MB)
    place.double.fail(on="/cdn/*other.gguf", wrong_bytes=True)
    with pytest.raises(Exception, match=r"“other\.gguf” arrived with other bytes"):
        place.fetch(place.source(), place.source("other.gguf"), patience=LATE)
    assert "other.gguf" not in place.names


def test_a_silence_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.downloads.board.QUIET_SECONDS", 0.3)
    place.double.fail(on="/cdn/*", stall_after=MB)

    def look(_: object) -> None:
        if place.transfers[-1].text.startswith("Nothing has come for"):
            place.stop.set()

    place.on_progress = look
    with pytest.raises(Cancelled):
        place.fetch(patience=LATE)


def test_a_stop_before_the_start_asks_nobody(place: Place) -> None:
    place.stop.set()
    with pytest.raises(Cancelled):
        place.fetch()
    assert not place.target.exists()


def test_a_name_that_is_looked_up_for_ever_holds_nobody_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's call cannot be called off: its thread is left behind and touches no file."""
    is_answered = threading.Event()

    def look_up(*_: object, **__: object) -> object:
        place.stop.set()
        is_answered.wait()
        raise OSError("too late")

    source = place.source()
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Cancelled):
        place.fetch(source)
    assert not is_answered.is_set()
    assert place.names == []
    is_answered.set()
