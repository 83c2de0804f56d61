"""Whether a model runs here: bytes and its context beside what there is."""

import io

import pytest

from app.planner.fit import fit
from app.planner.machine import Machine
from app.planner.verdict import Place
from backends.formats.gguf import Header, read_header, read_stream
from backends.protocol import DraftMode, EngineOptions, KVLayout
from tests.library.gguf_bytes import SETTINGS, header
from tests.planner.shapes import all_shapes

GB = 1_000_000_000
CONTEXT = 4096
CHAT = EngineOptions(context=CONTEXT, kv_layout=KVLayout.UNIFIED, draft=DraftMode.OFF, prompt_cache_ram=0)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Header:
    """Of Llama 3.1 8B: 32 layers, 8 key heads of 128."""
    shape = next(shape for shape in all_shapes() if shape.name == "llama-3.1-8b")
    return read_header(shape.write(tmp_path_factory.mktemp("shapes")))


def test_the_memory_of_the_context_is_counted_from_the_header(llama: Header) -> None:
    kv = 32 * 8 * (128 + 128) * 2 * CONTEXT
    verdict = fit(5 * GB, Machine.at_rest(24 * GB), llama, CHAT)
    assert 5 * GB + kv < verdict.needed < 5 * GB + kv + GB


@pytest.mark.parametrize(
    ("size", "machine", "place"),
    [
        (5 * GB, Machine.at_rest(24 * GB), Place.RAM),
        (30 * GB, Machine.at_rest(24 * GB), Place.DISK),
        (5 * GB, Machine.at_rest(24 * GB, 8 * GB), Place.GPU),
        (12 * GB, Machine.at_rest(24 * GB, 8 * GB), Place.SHARED),
        (22 * GB, Machine.at_rest(24 * GB, 8 * GB), Place.SHARED),
        (40 * GB, Machine.at_rest(24 * GB, 8 * GB), Place.DISK),
    ],
)
def test_where_it_runs(size: int, machine: Machine, place: Place, llama: Header) -> None:
    assert fit(size, machine, llama, CHAT).place is place


def test_what_is_too_large_is_said_with_both_numbers_and_what_the_disk_would_give(llama: Header) -> None:
    verdict = fit(30 * GB, Machine.at_rest(24 * GB), llama, CHAT)
    assert not verdict.runs
    assert verdict.sentence.startswith("Slow, about ")
    assert verdict.sentence.endswith(" tokens/s from the disk: RAM has 20.4 of 31.2 GB")


def test_without_a_header_its_size_alone_is_told() -> None:
    assert fit(5 * GB, Machine.at_rest(24 * GB)).runs
    assert fit(30 * GB, Machine.at_rest(24 * GB)).sentence == "Does not fit: RAM has 20.4 of 33.9 GB"


def damaged(**settings: object) -> Header:
    content = header({**SETTINGS, "llama.attention.head_count": 32, **settings})
    return read_stream(io.BytesIO(content + bytes(10_000)), "m.gguf", len(content) + 10_000)


@pytest.mark.parametrize(
    "settings",
    [
        {"llama.attention.head_count_kv": [4_000_000_000] * 32, "llama.block_count": 32},
        {"llama.block_count": 2**31 - 1},
        {"llama.block_count": 2**32 - 1},
        {"llama.attention.head_count": 0},
        {"llama.embedding_length": 2**31 - 1},
    ],
    ids=["heads", "layers", "no layers", "no heads", "width"],
)
def test_nonsense_in_the_header_ends_nothing(settings: dict[str, object]) -> None:
    """Two thousand million layers cost no memory here, either."""
    assert fit(5 * GB, Machine.at_rest(24 * GB), damaged(**settings)).sentence
