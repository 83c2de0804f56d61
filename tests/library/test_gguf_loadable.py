"""What the reader lets pass, llama.cpp survives: the known traps one by one, and a sample of the fuzzing bench."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.formats import FormatError
from backends.formats.gguf_loadable import check_loadable
from tests.library.gguf_draft import ARRAY, BUILDERS, I32, STRING, U32, Draft, Setting, Tensor, llama

NUM_MUTANTS = 1500
FROM = 500_000  # other ones than the bench's
NATIVE_SAMPLE = 12


def write(path: Path, draft: Draft) -> Path:
    raw = draft.header()
    path.write_bytes(raw)
    os.truncate(path, -(-len(raw) // 32) * 32 + draft.data_bytes)
    return path


def changed(key: str, value: object, base: Callable[[], Draft] = llama) -> Draft:
    draft = base()
    found = next((each for each in draft.settings if each.key == key.encode()), None)
    if found is None:
        draft.settings.append(Setting(key.encode(), STRING if isinstance(value, bytes) else U32, value))
    else:
        found.value = value
    return draft


def without(key: str) -> Draft:
    draft = llama()
    draft.settings.remove(draft.setting(key.encode()))
    return draft


def with_tokens(tokens: list[bytes]) -> Draft:
    draft = llama()
    words = draft.setting(b"tokenizer.ggml.tokens").value
    draft.setting(b"tokenizer.ggml.tokens").value = [*tokens, *words[len(tokens) :]]
    return draft


def with_norm_of_type(type_: int) -> Draft:
    draft = llama()
    draft.tensors[1].type = type_
    return draft


def with_token_types(kind: int, model: bytes) -> Draft:
    draft = changed("tokenizer.ggml.model", model)
    draft.setting(b"tokenizer.ggml.token_type").element = kind
    return draft


TRAPS: dict[str, tuple[Draft, str]] = {
    "no layers": (changed("llama.block_count", 0), "setting block_count is 0"),
    "too many layers": (changed("llama.block_count", 513), "setting block_count is 513"),
    "more experts used than there are": (changed("llama.expert_used_count", 3), "expert_used_count is 3"),
    "experts of which none is used": (changed("llama.expert_count", 8), "expert_used_count is 0"),
    "too many experts": (changed("llama.expert_count", 2000), "expert_count is 2000"),
    "groups without experts": (changed("llama.expert_group_count", 2), "expert_group_count is 2"),
    "more heads than width": (changed("llama.attention.head_count", 64), "attention.head_count is 64"),
    "heads that do not share": (changed("llama.attention.head_count_kv", 3), "attention.head_count_kv is 3"),
    "half a turn": (changed("llama.rope.dimension_count", 4), "rope.dimension_count is 4"),
    "an odd turn": (changed("phi3.rope.dimension_count", 7, lambda: llama("phi3")), "rope.dimension_count is 7"),
    "no turn": (changed("gemma2.rope.dimension_count", 0, lambda: llama("gemma2")), "rope.dimension_count is 0"),
    "unknown scaling": (changed("llama.rope.scaling.type", b"magic"), "rope.scaling.type is 'magic'"),
    "negative epsilon": (
        changed("llama.attention.layer_norm_rms_epsilon", -1.0),
        "layer_norm_rms_epsilon is -1.0",
    ),
    "unknown tokenizer": (changed("tokenizer.ggml.model", b"whitespace"), "no tokenizer that can be used"),
    "no tokenizer": (without("tokenizer.ggml.model"), "no tokenizer that can be used"),
    "no tokens": (without("tokenizer.ggml.tokens"), "its tokenizer has no tokens"),
    "the same token twice": (with_tokens([b"a", b"a"]), "the same token twice"),
    "the same up to a NUL": (with_tokens([b"a\0b", b"a\0c"]), "the same token twice"),
    "the name of an empty one": (with_tokens([b"", b"[EMPTY_0]"]), "the same token twice"),
    "no byte tokens": (with_tokens([b"word%d" % n for n in range(200)]), "no token for the byte 0"),
    "bytes of a kind without": (with_token_types(I32, b"bert"), "byte tokens, which its kind does not know"),
    "types that are texts": (with_token_types(STRING, b"llama"), "the token_type of its tokenizer do not go"),
    "merges missing": (changed("tokenizer.ggml.model", b"gpt2"), "its tokenizer has no merges"),
    "a norm of blocks": (with_norm_of_type(1), "'output_norm.weight' is of the type F16"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_would_end_the_engine_is_refused(trap: str, tmp_path: Path) -> None:
    draft, sentence = TRAPS[trap]
    with pytest.raises(FormatError, match=sentence):
        check_loadable(write(tmp_path / "trap.gguf", draft))


def test_sound_models_are_not_refused(tmp_path: Path) -> None:
    for number, build in enumerate(BUILDERS):
        check_loadable(write(tmp_path / f"{number}.gguf", build()))


def test_an_alignment_that_cannot_be_mapped_is_refused(tmp_path: Path) -> None:
    draft = llama()
    draft.settings.append(Setting(b"general.alignment", U32, 2))
    draft.alignment = 2
    draft.settings.append(Setting(b"pad", ARRAY, [1], 0))
    draft.tensors.insert(0, Tensor(b"rope_freqs.weight", [1]))
    with pytest.raises(FormatError, match="are not aligned"):
        check_loadable(write(tmp_path / "a.gguf", draft))


def test_a_sample_of_spoilt_headers_does_no_harm() -> None:
    """The same children as in the bench: memory bounded, an alarm, and native loads of what was let pass."""
    command = [sys.executable, "-m", "tests.bench.fuzz_gguf", "--dry"]
    sizes = ["--from", str(FROM), "--count", str(NUM_MUTANTS), "--sample", str(NATIVE_SAMPLE)]
    done = subprocess.run([*command, *sizes], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["mutants"] == NUM_MUTANTS
    assert report["native_loads"] > 10
    assert NUM_MUTANTS / 5 < report["accepted"] < NUM_MUTANTS
