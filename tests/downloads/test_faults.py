"""Every knob of the double: either the file comes whole all the same, or a person reads a sentence."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from app.downloads import Patience
from app.errors import DownloadError
from tests.downloads.conftest import CONTENT, IMPATIENT, NAME, REPO, Place

MB = 1_000_000
PASSING = {
    "cut once": ({"cut_after": MB, "times": 1}, 2),
    "cut before the first byte": ({"cut_after": 0, "times": 1}, 2),
    "cut each time": ({"cut_after": MB}, 4),
    "slow": ({"bytes_per_second": 6 * MB}, 1),
    "no length": ({"no_length": True}, 1),
    "chunks": ({"chunked": True}, 1),
    "chunks, cut": ({"chunked": True, "cut_after": MB, "times": 1}, 2),
}


@pytest.mark.parametrize("fault", PASSING)
def test_the_file_comes_whole_in_spite_of(fault: str, place: Place) -> None:
    fields, num_answers = PASSING[fault]
    place.double.fail(on="/cdn/*", **fields)
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert place.names == [NAME]
    answers = place.double.downloads()
    assert len(answers) == num_answers
    assert sum(seen.bytes_sent for seen in answers) < len(CONTENT) + 2 * MB  # only the rest each time


def test_a_connection_that_goes_quiet_is_given_up_for_another(place: Place) -> None:
    place.double.fail(on="/cdn/*", stall_after=MB, times=1)
    place.fetch(patience=replace(IMPATIENT, silence=0.3))
    assert place.target.read_bytes() == CONTENT
    assert place.double.downloads()[-1].headers["range"] == f"bytes={MB}-"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_burst_of_passing_faults_is_sat_out(status: int, place: Place) -> None:
    place.double.fail(on="*/resolve/*", status=status, times=1)
    place.double.fail(on="/cdn/*", status=status, times=1)
    place.fetch()
    assert place.target.read_bytes() == CONTENT


def test_an_expired_address_is_asked_for_anew(place: Place) -> None:
    place.leave(MB)
    place.double.fail(on="/cdn/*", status=403, times=1)
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert [seen.path for seen in place.double.requests if seen.server == "hub"] == [
        f"/org/model/resolve/main/{NAME}"
    ] * 2


ANEW = {
    "a server that ignores Range": {"ignore_range": True},
    "416": {"status": 416, "times": 1},
    "another range": {"bad_range": True, "times": 1},
    "another ETag": {"etag": "another"},
    "another ETag in spite of If-Range": {"etag": "another", "ignore_if_range": True, "times": 1},
}


@pytest.mark.parametrize("fault", ANEW)
def test_the_file_begins_anew_after(fault: str, place: Place) -> None:
    place.leave(MB)
    place.double.fail(on="/cdn/*", **ANEW[fault])
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert place.double.requests[1].headers["range"] == f"bytes={MB}-"
    assert place.double.downloads()[-1].bytes_sent == len(CONTENT)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "401": (
        {"status": 401},
        "127.0.0.1 wants a valid token for “model.gguf” (HTTP 401, unauthorized). Save one in the settings, then try "
        "again.",
    ),
    "401 gated": (
        {"status": 401, "error_code": "GatedRepo"},
        "“model.gguf” belongs to a gated repository (HTTP 401, unauthorized), and this computer has no access to it "
        "yet. Ask for access on the repository's page, save your token in the settings, then try again.",
    ),
    "403": (
        {"status": 403},
        "127.0.0.1 does not let this token download “model.gguf” (HTTP 403, forbidden). Ask for access on the "
        "repository's page or use a token with read rights, then try again.",
    ),
    "404": (
        {"status": 404, "error_code": "EntryNotFound"},
        "“model.gguf” is not at 127.0.0.1 any more (HTTP 404, not found): it was renamed or taken away. Open the "
        "repository's page to see what it offers now.",
    ),
    "416": (
        {"status": 416},
        "127.0.0.1 has no bytes for “model.gguf” where the listing promises some (HTTP 416, requested range not "
        "satisfiable). Open the repository's page anew and download again.",
    ),
    "418": (
        {"status": 418},
        "127.0.0.1 does not give out “model.gguf” (HTTP 418, i'm a teapot). Try again later.",
    ),
    "429": (
        {"status": 429},
        "“model.gguf” could not be downloaded: 127.0.0.1 asks to wait (HTTP 429, too many requests). It was tried 3 "
        "times. What has come so far is kept. Check the connection, then try again.",
    ),
    "429 for long": (
        {"status": 429, "headers": {"ratelimit": '"api";r=0;t=1800'}},
        "Stopped: 127.0.0.1 asks to wait (HTTP 429, too many requests), for 30 minutes. What has come so far is kept. "
        "Try again then.",
    ),
    "503": (
        {"status": 503},
        "“model.gguf” could not be downloaded: 127.0.0.1 has a fault (HTTP 503, service unavailable). It was tried 3 "
        "times. What has come so far is kept. Check the connection, then try again.",
    ),
    "a circle": (
        {"redirect_to": ""},
        "127.0.0.1 sends in circles. Try again later, or look at its page in a browser.",
    ),
    "nowhere": (
        {"redirect_to": "file:///etc/passwd"},
        "127.0.0.1 sends to an address that is none. Try again later.",
    ),
    "a login page": (
        {"huge_json": 40 * MB},
        "127.0.0.1 sends 40.0 MB for “model.gguf” where 3.0 MB were announced: another version, or the page of a "
        "network that wants a login. Open the repository's page anew and download again.",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_person_reads_what_happened_and_what_to_do(fault: str, place: Place) -> None:
    fields, sentence = REFUSED[fault]
    place.double.fail(on="*/resolve/*", **fields)
    with pytest.raises(DownloadError) as caught:
        place.fetch()
    assert str(caught.value) == sentence
    assert place.names == []


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "wrong bytes": (
        {"wrong_bytes": True},
        "“model.gguf” arrived with other bytes than 127.0.0.1 announces: its hash differs. It was deleted. Download it "
        "again; if it happens again, the file at the source or the network on the way is damaged.",
    ),
    "more bytes than announced": (
        {"surplus": 1, "no_length": True},
        "127.0.0.1 sends more for “model.gguf” where 3.0 MB were announced: another version, or the page of a network "
        "that wants a login. Open the repository's page anew and download again.",
    ),
    "one byte more": (
        {"surplus": 1},
        "127.0.0.1 sends 3,012,001 for “model.gguf” where 3,012,000 bytes were announced: another version, or the page "
        "of a network that wants a login. Open the repository's page anew and download again.",
    ),
    "another size": (
        {"surplus": MB},
        "127.0.0.1 sends 4.0 MB for “model.gguf” where 3.0 MB were announced: another version, or the page of a "
        "network that wants a login. Open the repository's page anew and download again.",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_is_not_the_promised_one_never_gets_its_name(fault: str, place: Place) -> None:
    fields, sentence = BROKEN[fault]
    place.double.fail(on="/cdn/*", **fields)
    seen: list[bool] = []
    place.on_progress = lambda _: seen.append(place.target.exists())
    with pytest.raises(DownloadError) as caught:
        place.fetch()
    assert str(caught.value) == sentence
    assert place.names == []
    assert not any(seen)


def test_wrong_bytes_of_a_small_file_are_found_by_its_git_hash(place: Place) -> None:
    place.double.fail(on="*/config.json", wrong_bytes=True)
    with pytest.raises(DownloadError, match=r"“config\.json” arrived with other bytes"):
        place.fetch(place.source("config.json"))
    assert place.names == []


def test_nothing_of_the_old_version_stays_behind_a_new_beginning(place: Place) -> None:
    place.leave(2 * MB)
    place.double.fail(on="/cdn/*", etag="another", cut_after=MB)
    with pytest.raises(DownloadError, match="ended early"):
        place.fetch(patience=Patience(tries=1))
    assert place.part.stat().st_size == MB


def test_wrong_bytes_after_a_resume_are_fetched_once_more_in_one_go(place: Place) -> None:
    place.leave(MB)
    with place.part.open("r+b") as part:
        part.write(b"damaged")
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    ranges = [seen.headers.get("range") for seen in place.double.downloads()]
    assert ranges == [f"bytes={MB}-", None]


def test_a_server_that_stalls_always_is_given_up_and_keeps_what_came(place: Place) -> None:
    place.double.fail(on="/cdn/*", stall_after=0)
    with pytest.raises(DownloadError) as caught:
        place.fetch(patience=Patience(tries=2, first_wait=0.01, silence=0.1))
    assert str(caught.value) == (
        "“model.gguf” could not be downloaded: 127.0.0.1 sends nothing any more. It was tried 2 times. What has come "
        "so far is kept. Check the connection, then try again."
    )


def test_a_server_that_is_gone_is_told(place: Place) -> None:
    source = place.source()
    unused = source.url.replace(place.double.endpoint, "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 refuses connections\. It was tried 3 times"):
        place.fetch(type(source)(unused, {}, source.bytes, source.sha256))


def test_a_server_that_ignores_range_and_always_breaks_is_given_up(place: Place) -> None:
    place.double.fail(on="/cdn/*", ignore_range=True, cut_after=MB)
    with pytest.raises(DownloadError, match=r"ended early\. It was tried 3 times"):
        place.fetch()
    assert place.part.stat().st_size == MB


def test_the_wait_that_the_server_asks_for_is_kept_and_shown(place: Place) -> None:
    place.double.fail(on="*/resolve/*", status=429, headers={"Retry-After": "1"}, times=1)
    place.fetch()
    waiting = [transfer.text for transfer in place.transfers if "asks to wait" in transfer.text]
    assert waiting
    assert set(waiting) == {"127.0.0.1 asks to wait (HTTP 429, too many requests); trying again in 1 s"}


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_an_etag_and_a_hash_nothing_is_stitched(etag: str, place: Place) -> None:
    """Nobody could tell that the second half is of the same version."""
    source = place.source(hashed=False)
    place.double.fail(on="/cdn/*", etag=etag, cut_after=MB, times=1)
    place.fetch(source, patience=IMPATIENT)
    assert hashlib.sha256(place.target.read_bytes()).hexdigest() == place.source().sha256
    assert [seen.headers.get("range") for seen in place.double.downloads()] == [None, None]


def test_another_version_is_refused_before_its_bytes_come(place: Place) -> None:
    """The Hub's redirect names the hash of what it leads to."""
    place.leave(MB)
    with pytest.raises(DownloadError) as caught:
        place.fetch(replace(place.source(), sha256="0" * 64))
    assert str(caught.value) == (
        "127.0.0.1 has another “model.gguf” now than the one that was chosen: it announces another hash. Nothing of it "
        "is downloaded. Open the repository's page anew and download again."
    )
    assert place.double.downloads() == []


def test_a_redirect_of_a_mirror_that_names_no_hash_is_followed(place: Place) -> None:
    place.double.fail(on="*/resolve/*", redirect_to=place.double.address(REPO, NAME), times=1)
    place.double.faults[0].headers["X-Linked-Etag"] = 'W/"an ETag of its own"'
    place.fetch()
    assert place.target.read_bytes() == CONTENT
