"""Whether a model runs here: bytes and its context beside what there is."""

import io
from pathlib import Path

import pytest

from app.hub.fit import BUFFERS, CONTEXT, Machine, Place, fit
from app.hub.quantizations import BITS_PER_WEIGHT, predicted_bytes
from app.hub.repository import Repository, Variant, VariantKind
from backends.formats.gguf import Header, read_stream
from tests.library.gguf_bytes import SETTINGS, header

GB = 1_000_000_000


def llama(**settings: object) -> Header:
    """As large as an 8 B model: 32 layers, 8 key heads of 128."""
    known = {
        "llama.block_count": 32,
        "llama.embedding_length": 4096,
        "llama.context_length": 131_072,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
    }
    content = header({**SETTINGS, **known, **settings})
    return read_stream(io.BytesIO(content + bytes(10_000)), "m.gguf", len(content) + 10_000)


def test_the_memory_of_the_context_is_counted_from_the_header() -> None:
    kv = 32 * 8 * (128 + 128) * 2 * CONTEXT
    assert fit(5 * GB, Machine(24 * GB), llama()).needed == 5 * GB + kv + BUFFERS


def test_a_count_of_heads_per_layer_is_added_up() -> None:
    few = llama(**{"llama.attention.head_count_kv": [8] * 8 + [0] * 24})
    assert fit(0, Machine(24 * GB), few).needed == 8 * 8 * (128 + 128) * 2 * CONTEXT + BUFFERS


def test_nonsense_in_the_header_is_not_counted() -> None:
    odd = llama(**{"llama.attention.head_count_kv": [4_000_000_000] * 32})
    assert fit(0, Machine(24 * GB), odd).needed == BUFFERS


@pytest.mark.parametrize(
    ("size", "machine", "place"),
    [
        (5 * GB, Machine(24 * GB), Place.RAM),
        (30 * GB, Machine(24 * GB), Place.NOWHERE),
        (5 * GB, Machine(24 * GB, 8 * GB), Place.GPU),
        (12 * GB, Machine(24 * GB, 8 * GB), Place.SHARED),
        (22 * GB, Machine(24 * GB, 8 * GB), Place.SHARED),
        (40 * GB, Machine(24 * GB, 8 * GB), Place.NOWHERE),
    ],
)
def test_where_it_runs(size: int, machine: Machine, place: Place) -> None:
    assert fit(size, machine, llama()).place is place


def test_what_is_too_large_is_said_with_both_numbers() -> None:
    sentence = fit(30 * GB, Machine(24 * GB), llama()).sentence
    assert sentence == "Too large: needs about 30.8 GB, 20.4 GB are there"


def test_the_size_of_what_a_checkpoint_becomes_is_predicted() -> None:
    """Of Llama 3.1 8B: 4.92 GB as Q4_K_M, 8.54 GB as Q8_0."""
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 16 * GB)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), parameters=8_030_261_312)
    assert predicted_bytes(repository, checkpoint, "Q4_K_M") == pytest.approx(4.92 * GB, rel=0.01)
    assert predicted_bytes(repository, checkpoint, "Q8_0") == pytest.approx(8.54 * GB, rel=0.01)
    assert next(iter(BITS_PER_WEIGHT)) == "Q4_K_M"
    assert isinstance(llama().path, Path)


def test_two_thousand_million_layers_cost_no_memory_here() -> None:
    """One list with an element for each would have 16 GB."""
    many = llama(**{"llama.block_count": 2**31 - 1})
    assert fit(0, Machine(24 * GB), many).place is Place.NOWHERE
    assert fit(0, Machine(24 * GB), llama(**{"llama.block_count": 2**32 - 1})).needed == BUFFERS


@pytest.mark.parametrize(
    ("quantization", "least", "most"), [("Q4_K_M", 11.2, 12.2), ("Q8_0", 11.8, 13.0), ("BF16", 13.5, 14.2)]
)
def test_experts_that_stay_in_mxfp4_are_counted_as_they_stay(quantization: str, least: float, most: float) -> None:
    """gpt-oss-20b: 13.8 GB of checkpoint; its files of others have 11.6 (Q4_K_M), 12.1 (Q8_0) and 13.8 GB (F16)."""
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 13_761_300_984)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), architecture="gpt_oss", parameters=21_511_953_984)
    assert least * GB < predicted_bytes(repository, checkpoint, quantization) < most * GB


def test_weights_of_16_bits_are_counted_as_ever_whatever_the_architecture() -> None:
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 41_830_000_000)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), architecture="gpt_oss", parameters=20_914_757_184)
    assert predicted_bytes(repository, checkpoint, "BF16") == pytest.approx(41.83 * GB, rel=0.01)
