"""What cannot be loaded is refused with numbers before a byte is allocated; the bytes per token are llama.cpp's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import EngineError
from app.inference.supervisor import Supervisor
from app.jobs.convert import convert_checkpoint
from backends.engine.runner import LoadError
from backends.formats.gguf import Header, read_header
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.placement import check_context
from backends.llama.ranges import check_options
from backends.protocol import DraftMode, EngineOptions, KVType
from tests.convert import checkpoints
from tests.inference.conftest import SECONDS
from tests.llama.conftest import Load
from tests.llama.test_engine import start, timings

PAIRS = [
    (KVType.F16, KVType.F16),
    (KVType.F32, KVType.BF16),
    (KVType.Q8_0, KVType.Q4_0),
    (KVType.Q5_1, KVType.IQ4_NL),
]
CELL_BYTES = 16  # of a saved state: position, number of sequences, their ids


def state_bytes_per_token(path: Path, type_k: KVType, type_v: KVType) -> float:
    """By the length of saved states, whose fixed part cancels out."""
    native.start()
    sizes = []
    with NativeModel(path) as model:
        params = ContextParams(256, 1, 256, threads=1, kv_type_k=type_k, kv_type_v=type_v, flash_attention="on")
        with NativeContext(model, params) as context:
            for begin in (0, 100):
                context.batch.put(0, [5] * 100, begin, 0)
                assert context.decode(100) == 0
                sizes.append(len(context.memory.save(0, begin + 100)))
    return (sizes[1] - sizes[0]) / 100


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("LlamaForCausalLM", {}),
        ("Qwen2ForCausalLM", {"num_hidden_layers": 3, "num_key_value_heads": 1}),
        ("Qwen3ForCausalLM", {"head_dim": 128, "num_attention_heads": 2}),
    ],
)
def test_a_token_takes_as_many_bytes_as_llama_cpp_gives_it(
    tmp_path: Path, architecture: str, settings: dict[str, Any]
) -> None:
    path = tmp_path / "model.gguf"
    checkpoints.write(tmp_path / "checkpoint", checkpoints.config(architecture, **settings))
    convert_checkpoint(tmp_path / "checkpoint", path, "f16", logs=tmp_path)
    for types in PAIRS:
        expected = KVShape.of(read_header(path)).bytes_per_token(*types)
        assert expected <= state_bytes_per_token(path, *types) <= expected + CELL_BYTES


def header(**metadata: Any) -> Header:
    base = {"block_count": 4, "attention.head_count": 8, "attention.head_count_kv": 2, "embedding_length": 512}
    values = {f"any.{key}": value for key, value in (base | metadata).items()}
    return Header(Path("any.gguf"), 3, {"general.architecture": "any", **values}, (), 0, 0)


@pytest.mark.parametrize(
    ("metadata", "per_token"),
    [
        ({}, 4 * 2 * 2 * 64 * 2),
        ({"attention.head_count_kv": [0, 2, 0, 1]}, 3 * 2 * 64 * 2),
        ({"full_attention_interval": 4}, 1 * 2 * 2 * 64 * 2),
        ({"attention.shared_kv_layers": 1, "nextn_predict_layers": 1}, 2 * 2 * 2 * 64 * 2),
        ({"attention.key_length": 576, "attention.key_length_mla": 192, "attention.head_count_kv": 1}, 4 * 576 * 2),
        ({"attention.head_count": 0, "attention.head_count_kv": 0}, 0),
    ],
)
def test_layers_that_keep_nothing_cost_nothing(metadata: dict[str, Any], per_token: int) -> None:
    assert KVShape.of(header(**metadata)).bytes_per_token(KVType.F16, KVType.F16) == per_token


def test_the_largest_context_that_fits_is_taken_and_the_next_refused() -> None:
    options, each = EngineOptions(), 4 * 2 * 2 * 64 * 2
    check_context(header(), 1000, options, free=1000 * each)
    with pytest.raises(LoadError, match=r"1,001 tokens needs .* 0\.0 GiB are free") as caught:
        check_context(header(), 1001, options, free=1000 * each)
    assert caught.value.kind == "out_of_memory"
    check_context(header(), 1001, replace(options, kv_type_k=KVType.Q8_0), free=1000 * each)


def test_a_context_larger_than_memory_is_one_sentence_with_numbers(supervisor: Supervisor, tiny: Path) -> None:
    handle = supervisor.load("tiny", tiny, EngineOptions(context=10**9))
    with pytest.raises(EngineError, match=r"needs .* GiB for the KV cache of tiny.gguf, and .* GiB are free") as caught:
        handle.wait_ready(SECONDS)
    assert "1,000,000,000 tokens" in str(caught.value)
    assert caught.value.crash is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("context", number) for number in (2**32 + 512, 10**30, 0, -1)),
        *(("parallel", number) for number in (0, -3, 257, 10**9)),
        *(("threads", number) for number in (0, -1, 10**9)),
        *(("draft_length", number) for number in (-1, 10**9)),
        *(("gpu_layers", -7), ("prompt_cache_ram", -1), ("prompt_cache_disk", -1)),
    ],
)
def test_absurd_options_are_refused_by_name(name: str, number: int) -> None:
    with pytest.raises(LoadError, match=f"{name} must lie between .*, not at {number}"):
        check_options(EngineOptions(**{name: number}))  # type: ignore[arg-type]


def test_an_absurd_option_reaches_no_native_code(supervisor: Supervisor, tiny: Path) -> None:
    handle = supervisor.load("tiny", tiny, EngineOptions(parallel=0))
    with pytest.raises(EngineError, match="parallel must lie between 1 and 256") as caught:
        handle.wait_ready(SECONDS)
    assert caught.value.crash is None


@pytest.mark.parametrize("context", [1, 100])
def test_the_smallest_context_is_the_smallest_there_is(load: Load, tiny: Path, context: int) -> None:
    handle = load(tiny, context=context)
    assert handle.snapshot.ready is not None
    assert handle.snapshot.ready.context == 256
    assert timings(start(handle, "Hello", max_tokens=3)).predicted_n == 3


def test_as_many_answers_side_by_side_as_there_are_slots(load: Load, tiny: Path) -> None:
    handle = load(tiny, parallel=256, draft=DraftMode.OFF)
    assert timings(start(handle, "Hello", max_tokens=3)).predicted_n == 3
