"""LoRA adapters on a real model: the same text as merged weights, apart in a batch, apart in the prompt cache."""

from pathlib import Path

import numpy as np
import pytest

from app.errors import EngineError
from app.inference.supervisor import EngineHandle, Supervisor
from backends.formats import FormatError
from backends.formats.gguf import read_header
from backends.formats.gguf_adapter import check_adapter
from backends.protocol import Adapter, CacheMiss, DraftMode, Failed, FailureKind
from tests.library import gguf_bytes
from tests.llama import lora
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, PROMPTS, start, texts, timings

PLAIN = {"draft": DraftMode.OFF, **EXACT}
LONG = tuple(range(20, 320))


@pytest.fixture(scope="session")
def changes(tiny: Path) -> list[dict[str, lora.Pair]]:
    return [lora.pairs(tiny, seed) for seed in (1, 2)]


@pytest.fixture(scope="session")
def files(changes: list[dict[str, lora.Pair]], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("lora")
    return [lora.write(folder / f"{number}.gguf", change) for number, change in enumerate(changes)]


def test_an_adapter_says_what_a_model_with_merged_weights_says(
    load: Load, tiny: Path, files: list[Path], changes: list[dict[str, lora.Pair]], tmp_path: Path
) -> None:
    base = texts(load(tiny, "base", **PLAIN))
    merged = lora.merge(tiny, tmp_path / "merged.gguf", (changes[0], 0.5), (changes[1], -0.25))
    expected = texts(load(merged, "merged", **PLAIN))
    adapted = load(tiny, "adapted", adapters=(Adapter(files[0], 0.5), Adapter(files[1], -0.25)), **PLAIN)
    assert texts(adapted) == expected
    assert all(one != other for one, other in zip(expected, base, strict=True))
    assert texts(load(tiny, "off", adapters=(Adapter(files[0], 0.0),), **PLAIN)) == base


def test_requests_with_other_adapters_side_by_side_say_what_they_say_alone(
    load: Load, tiny: Path, tiny_draft: Path, files: list[Path]
) -> None:
    both = (Adapter(files[0]), Adapter(files[1]))
    wanted = [None, (), ((0, 1.0),), ((1, 0.5),)]
    plain = load(tiny, "plain", adapters=both, **PLAIN)
    alone = [start(plain, PROMPTS[0], adapters=adapters).wait().text for adapters in wanted]
    assert len(set(alone)) == len(wanted)
    drafted = load(tiny, "drafted", adapters=both, parallel=4, draft_model=tiny_draft, draft_length=3, **EXACT)
    for handle in (plain, drafted):
        together = [start(handle, PROMPTS[0], adapters=adapters) for adapters in wanted]
        assert [answer.wait().text for answer in together] == alone


def test_a_prompt_is_reused_only_where_it_was_read_with_the_same_adapters(
    load: Load, tiny: Path, files: list[Path]
) -> None:
    handle = load(tiny, adapters=(Adapter(files[0]),), **PLAIN)
    text = start(handle, LONG).wait().text
    other = start(handle, LONG, adapters=((0, 0.5),))
    account = timings(other)
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.OTHER_BUILD)
    assert other.text != text
    for adapters, expected in ((None, text), (((0, 1.0),), text), (((0, 0.5),), other.text)):
        again = start(handle, LONG, adapters=adapters)
        assert timings(again).cache_n == len(LONG) - 1
        assert again.text == expected


def test_a_prompt_on_disk_belongs_to_the_adapters_of_its_load(
    load: Load, supervisor: Supervisor, tiny: Path, files: list[Path], tmp_path: Path
) -> None:
    def account(**options: object) -> tuple[int, CacheMiss | None]:
        handle = load(tiny, prompt_cache_folder=tmp_path / "prompts", **options, **PLAIN)
        found = timings(start(handle, LONG))
        supervisor.unload("tiny")
        return found.cache_n, found.cache_miss

    assert account(adapters=(Adapter(files[0]),)) == (0, CacheMiss.NO_EARLIER_PROMPT)
    assert account(adapters=(Adapter(files[0]),)) == (len(LONG) - 1, None)
    for others in ((), (Adapter(files[0], 0.5),), (Adapter(files[1]),)):
        assert account(adapters=others) == (0, CacheMiss.OTHER_BUILD)


def test_an_adapter_that_was_not_loaded_is_refused(load: Load, tiny: Path, files: list[Path]) -> None:
    refusal = _refusal(load(tiny, "none", **PLAIN), ((0, 1.0),))
    assert refusal.message == "This model was loaded without LoRA adapters. Load it with --lora FILE to use one."
    one = load(tiny, "one", adapters=(Adapter(files[0]),), **PLAIN)
    assert "There is no LoRA adapter 1" in _refusal(one, ((1, 1.0),)).message
    assert start(one, PROMPTS[0], adapters=((0, 1.0),)).wait().text


def _refusal(handle: EngineHandle, adapters: tuple[tuple[int, float], ...]) -> Failed:
    last = start(handle, PROMPTS[0], adapters=adapters).wait().last
    assert isinstance(last, Failed)
    assert last.kind is FailureKind.BAD_REQUEST
    return last


def matrix(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


QUERY, EMBEDDING = "blk.0.attn_q.weight", "token_embd.weight"
GOOD = {QUERY: (matrix(4, 256), matrix(256, 4))}
BAD: dict[str, tuple[dict[str, lora.Pair], dict[str, str], str]] = {
    "a model": (GOOD, {"general__type": "model"}, "is not a LoRA adapter"),
    "another kind": (GOOD, {"adapter__type": "other"}, "is not a LoRA adapter"),
    "another architecture": (GOOD, {"architecture": "qwen2"}, "is an adapter for “qwen2” models, and this is “llama”"),
    "an alpha of text": (GOOD, {"adapter__lora__alpha": "8"}, "its adapter.lora.alpha is no number"),
    "no tensors": ({}, {}, "changes no weight"),
    "a weight that is not there": ({"blk.7.attn_q.weight": GOOD[QUERY]}, {}, "it changes “blk.7.attn_q.weight”"),
    "another width": ({QUERY: (matrix(4, 128), matrix(256, 4))}, {}, "the shape of its “blk.0.attn_q.weight”"),
    "two ranks": ({QUERY: (matrix(4, 256), matrix(256, 8))}, {}, "the shape of its “blk.0.attn_q.weight”"),
    "experts": ({QUERY: (matrix(3, 4, 256), matrix(3, 256, 4))}, {}, "the shape of its “blk.0.attn_q.weight”"),
    "two ranks of the embedding": (
        {EMBEDDING: (matrix(640, 4), matrix(256, 8))},
        {},
        "the shape of its “token_embd.weight”",
    ),
    "whole numbers": (
        {QUERY: (np.zeros((4, 256), np.int32), matrix(256, 4))},
        {},
        "holds “blk.0.attn_q.weight” as I32 and F32",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_an_adapter_that_does_not_fit_is_refused_before_llama_cpp_sees_it(
    tiny: Path, tmp_path: Path, what: str
) -> None:
    pairs, settings, sentence = BAD[what]
    path = lora.write(tmp_path / "bad.gguf", pairs, **settings)
    with pytest.raises(FormatError, match=sentence):
        check_adapter(path, [read_header(tiny)])


def test_an_adapter_of_an_embedding_that_is_the_output_as_well_is_refused(tmp_path: Path) -> None:
    """llama.cpp takes the file and aborts in the first decode."""
    model = gguf_bytes.write(tmp_path / "tied.gguf", tensors=[(EMBEDDING, [256, 640], 0)])
    path = lora.write(tmp_path / "lora.gguf", {EMBEDDING: (matrix(640, 4), matrix(256, 4))})
    with pytest.raises(FormatError, match="which this model uses as its output as well"):
        check_adapter(path, [read_header(model)])


def test_half_a_pair_is_refused(tiny: Path, tmp_path: Path) -> None:
    path = lora.write(tmp_path / "half.gguf", GOOD)
    path.write_bytes(path.read_bytes().replace(b"attn_q.weight.lora_b", b"attn_k.weight.lora_b"))
    with pytest.raises(FormatError, match=r"“blk.0.attn_k.weight.lora_a” has no partner"):
        check_adapter(path, [read_header(tiny)])


def test_a_load_with_a_wrong_adapter_fails_with_its_sentence(load: Load, tiny: Path, tmp_path: Path) -> None:
    path = lora.write(tmp_path / "other.gguf", GOOD, architecture="qwen2")
    with pytest.raises(EngineError, match="is an adapter for “qwen2” models, and this is “llama”"):
        load(tiny, adapters=(Adapter(path),))
