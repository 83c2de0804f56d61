"""Files come whole, verified and under their names, and what lies there already is not fetched again."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.downloads import Source, download, kept_bytes
from app.downloads.fetch import Fetch
from app.errors import DownloadError
from tests.downloads.conftest import CONTENT, IMPATIENT, NAME, REPO, Place
from tests.hub.double import HubRepo


def test_several_files_come_whole_and_leave_nothing_beside_them(place: Place) -> None:
    place.fetch(*(place.source(name) for name in (NAME, "config.json", "empty.txt")))
    assert place.names == ["config.json", "empty.txt", NAME]
    assert place.target.read_bytes() == CONTENT
    assert (place.folder / "config.json").read_bytes() == b'{"a": 1}'
    last = place.transfers[-1]
    assert last.bytes_done == last.bytes_total == len(CONTENT) + 8
    assert last.text == "3 of 3 files downloaded"


def test_nothing_to_download_is_done_at_once(place: Place) -> None:
    download([], place.transfers.append, threading.Event())
    assert place.double.requests == []


def test_more_files_than_connections(place: Place) -> None:
    names = [f"part-{number}.bin" for number in range(9)]
    place.double.add(HubRepo(REPO, {name: name.encode() * 1000 for name in names}))
    place.fetch(*(place.source(name) for name in names))
    assert place.names == names


def test_a_file_that_is_there_is_checked_and_not_fetched(place: Place) -> None:
    place.fetch()
    place.double.requests.clear()
    place.fetch()
    assert place.double.requests == []
    assert place.transfers[-1].bytes_done == len(CONTENT)


def test_a_file_that_is_there_with_other_bytes_is_replaced(place: Place) -> None:
    place.folder.mkdir()
    place.target.write_bytes(b"x" * len(CONTENT))
    place.fetch()
    assert place.target.read_bytes() == CONTENT


def test_a_link_under_the_final_name_is_replaced_and_not_followed(place: Place, tmp_path: Path) -> None:
    place.folder.mkdir()
    other = tmp_path / "other"
    other.write_bytes(b"x" * len(CONTENT))
    place.target.symlink_to(other)
    place.fetch()
    assert not place.target.is_symlink()
    assert place.target.read_bytes() == CONTENT
    assert other.read_bytes() == b"x" * len(CONTENT)


def test_a_link_as_part_is_not_written_through(place: Place, tmp_path: Path) -> None:
    place.leave(1000)
    other = tmp_path / "other"
    other.write_bytes(place.part.read_bytes())
    place.part.unlink()
    place.part.symlink_to(other)
    with pytest.raises(DownloadError, match=r"model\.gguf cannot be written"):
        place.fetch()
    assert other.stat().st_size == 1000


def test_two_files_for_one_place_are_refused(place: Place) -> None:
    source = place.source()
    for name in ("MODEL.gguf", "model.gguf.part"):
        with pytest.raises(DownloadError, match="Two files of this download would both be written"):
            download([(source, place.target), (source, place.folder / name)], print, place.stop)
    assert place.names == []


def test_a_folder_that_cannot_be_made_is_told(place: Place) -> None:
    place.folder.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match=r"model\.gguf cannot be written: .*Check the folder"):
        place.fetch()


def test_without_a_hash_the_size_is_what_counts(place: Place) -> None:
    place.fetch(place.source(hashed=False))
    assert place.target.read_bytes() == CONTENT


def test_the_rate_and_the_time_left_are_told_while_it_comes(place: Place) -> None:
    place.double.fail(on="/cdn/*", bytes_per_second=8_000_000)
    place.fetch()
    under_way = [transfer for transfer in place.transfers if transfer.bytes_per_second and transfer.seconds_left]
    assert under_way
    assert all(0 < transfer.bytes_per_second < 100_000_000 for transfer in under_way)  # type: ignore[operator]
    assert under_way[0].text == f"Downloading {NAME}"
    assert "MB/s" in under_way[0].line


def test_what_lies_here_counts_while_it_is_read_again(place: Place) -> None:
    place.leave(1_000_000)
    assert kept_bytes(place.source(), place.target) == 1_000_000
    fetch = Fetch(place.source(), place.target, IMPATIENT)
    fetch.position = 0  # as at the beginning of that reading
    assert fetch.kept == 1_000_000
    place.fetch()
    assert kept_bytes(place.source(), place.target) == len(CONTENT)


def test_an_address_that_is_none_is_told(place: Place) -> None:
    for url in ("ftp://host/file", "http:///x", "http://[broken", "http://host:99999/x"):
        source = replace(place.source(), url=url)
        with pytest.raises(DownloadError, match="is no address that could be downloaded from"):
            download([(source, place.target)], print, place.stop, patience=IMPATIENT)


def test_a_token_that_cannot_be_sent_is_told(place: Place) -> None:
    source = replace(place.source(), headers={"Authorization": "Bearer a\nb"})
    with pytest.raises(DownloadError, match="characters that cannot be sent"):
        place.fetch(source)


def test_a_source_does_not_show_its_token() -> None:
    assert "hf_secret" not in repr(Source("http://host/f", {"Authorization": "Bearer hf_secret"}, 1))
