"""Whether a model runs here: bytes and its context beside what there is."""

import io

import pytest

from app.hub.fit import CONTEXT, fit
from app.hub.quantizations import BITS_PER_WEIGHT, predicted_bytes
from app.hub.repository import Repository, Variant, VariantKind
from app.planner.machine import Machine
from app.planner.verdict import Place
from backends.formats.gguf import Header, read_header, read_stream
from tests.library.gguf_bytes import SETTINGS, header
from tests.planner.shapes import all_shapes

GB = 1_000_000_000


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Header:
    """Of Llama 3.1 8B: 32 layers, 8 key heads of 128."""
    shape = next(shape for shape in all_shapes() if shape.name == "llama-3.1-8b")
    return read_header(shape.write(tmp_path_factory.mktemp("shapes")))


def test_the_memory_of_the_context_is_counted_from_the_header(llama: Header) -> None:
    kv = 32 * 8 * (128 + 128) * 2 * CONTEXT
    verdict = fit(5 * GB, Machine.at_rest(24 * GB), llama)
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
    assert fit(size, machine, llama).place is place


def test_what_is_too_large_is_said_with_both_numbers_and_what_the_disk_would_give(llama: Header) -> None:
    verdict = fit(30 * GB, Machine.at_rest(24 * GB), llama)
    assert not verdict.runs
    assert "Too large: needs about 31.2 GB, 20.4 GB are there. From the disk about " in verdict.sentence


def test_without_a_header_its_size_alone_is_told() -> None:
    assert fit(5 * GB, Machine.at_rest(24 * GB)).runs
    assert fit(30 * GB, Machine.at_rest(24 * GB)).sentence == "Too large: needs about 33.9 GB, 20.4 GB are there"


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


def test_the_size_of_what_a_checkpoint_becomes_is_predicted() -> None:
    """Of Llama 3.1 8B: 4.92 GB as Q4_K_M, 8.54 GB as Q8_0."""
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 16 * GB)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), parameters=8_030_261_312)
    assert predicted_bytes(repository, checkpoint, "Q4_K_M") == pytest.approx(4.92 * GB, rel=0.01)
    assert predicted_bytes(repository, checkpoint, "Q8_0") == pytest.approx(8.54 * GB, rel=0.01)
    assert next(iter(BITS_PER_WEIGHT)) == "Q4_K_M"


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
