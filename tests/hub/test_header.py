"""A header read by ranges: the same as from the disk, few bytes of the file, and nothing unsound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import HubError, HubFault
from app.hub import header as peeking
from app.hub.client import HubClient
from app.hub.repository import HubFile
from backends.formats.gguf import Header, describe, read_header
from tests.hub.double import HubDouble, HubRepo
from tests.library.gguf_bytes import SETTINGS, header, model

WEIGHTS = [("token_embd.weight", [4096, 512], 0)]  # 8 MB of zeros
NUM_WEIGHT_BYTES = 4096 * 512 * 4


@pytest.fixture
def client(hub_double: HubDouble) -> Iterator[HubClient]:
    result = HubClient(hub_double.endpoint, token=lambda: None)
    yield result
    result.close()


def peek(double: HubDouble, client: HubClient, content: bytes) -> Header:
    double.add(HubRepo("org/m", {"m-Q8_0.gguf": content}))
    found = client.repository("org/m")
    return client.peek_header("org/m", found.commit, found.variants[0].files[0])


def large(**settings: Any) -> bytes:
    """A model whose header takes several ranges."""
    content = header({**SETTINGS, **settings}, WEIGHTS)
    return content + bytes(-len(content) % 32 + NUM_WEIGHT_BYTES)


def test_a_header_from_afar_is_the_header_of_the_file(hub_double: HubDouble, client: HubClient, tmp_path: Path) -> None:
    content = large(**{"tokenizer.ggml.tokens": [f"token number {n}" for n in range(150_000)]})
    (tmp_path / "m-Q8_0.gguf").write_bytes(content)
    here, there = read_header(tmp_path / "m-Q8_0.gguf"), peek(hub_double, client, content)
    assert (there.metadata, there.tensors, there.data_offset) == (here.metadata, here.tensors, here.data_offset)
    assert describe(there).bytes == len(content)
    ranges = [seen for seen in hub_double.downloads() if seen.server == "cdn"]
    assert len(ranges) >= 2
    assert sum(seen.bytes_sent for seen in ranges) < len(content) - 4_000_000
    assert all(seen.status == 206 for seen in ranges)


def test_a_server_that_ignores_ranges_is_read_no_further_than_needed(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.fail(on="/cdn/*", ignore_range=True)
    content = large(**{"tokenizer.ggml.tokens": [f"token number {n}" for n in range(80_000)]})
    assert peek(hub_double, client, content).architecture == "llama"


def test_another_range_than_asked_for_is_noticed(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.fail(on="/cdn/*", bad_range=True)
    with pytest.raises(HubError, match="another part of the file"):
        peek(hub_double, client, large())


UNSOUND: dict[str, tuple[bytes, str]] = {
    "page": (b"<!DOCTYPE html>" + bytes(100), "is not a GGUF model but a web page"),
    "cut": (model()[:300], "is cut short"),
    "counts": (header(num_tensors=2**60), "tensors and"),
    "empty": (b"GGUF", "cut short"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_header_is_told_before_the_download(hub_double: HubDouble, client: HubClient, name: str) -> None:
    content, words = UNSOUND[name]
    with pytest.raises(HubError, match=words) as raised:
        peek(hub_double, client, content)
    assert raised.value.kind is HubFault.BROKEN
    assert str(raised.value).startswith("Do not download this file: m-Q8_0.gguf")
    assert "Download it again" not in str(raised.value)


def test_a_header_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "MAX_BYTES", 4 << 20)
    fetched: list[int] = []
    content = header({"tokenizer.ggml.tokens": ["x" * 1000] * 8000})

    def read_range(first: int, count: int) -> bytes:
        fetched.append(count)
        return content[first : first + count]

    with pytest.raises(HubError, match="longer than that of any model"):
        peeking.read_header(HubFile("m.gguf", len(content)), read_range)
    assert sum(fetched) <= 4 << 20


def test_a_file_that_shrank_since_its_page_was_read_is_told(hub_double: HubDouble, client: HubClient) -> None:
    repo = hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    file = HubFile("m-Q8_0.gguf", len(model()) + 10)
    with pytest.raises(HubError, match="not as long as its page says"):
        client.peek_header("org/m", repo.sha, file)
