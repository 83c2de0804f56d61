"""Real models say the same, to the token, in a KV cache that grows and shrinks under their answer."""

from pathlib import Path

import pytest

from app.jobs.child import run_in_child
from tests.llama.growing import Cache
from tests.real import things

NUM_TOKENS = 60
CASES = {
    "SmolLM2 in a pool": (things.smollm2, Cache(is_unified=True)),
    "SmolLM2 in streams": (things.smollm2, Cache(is_unified=False)),
    "SmolLM2, q8_0": (things.smollm2, Cache(is_unified=False, kv_type="q8_0")),
}
MORE = {  # a window is never loaded in streams
    "SmolLM2 in a pool, two answers": (things.smollm2, Cache(is_unified=True, num_answers=2)),
    "SmolLM2, q8_0 in a pool": (things.smollm2, Cache(is_unified=True, kv_type="q8_0")),
    "Gemma": (things.gemma, Cache(is_unified=True)),
    "Gemma, two answers": (things.gemma, Cache(is_unified=True, num_answers=2)),
}


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.real) for name in MORE)])
def test_an_answer_is_the_same_in_a_cache_that_changes_its_size(name: str, tmp_path: Path) -> None:
    model, cache = (CASES | MORE)[name]
    plain, *grown = run_in_child(
        "tests.llama.growing:say",
        log_path=tmp_path / "log",
        path=model(),
        cache=cache,
        num_tokens=NUM_TOKENS,
        seeds=(None, 1, 2),
    )
    assert [len(answer) for answer in plain] == [NUM_TOKENS] * cache.num_answers
    assert grown == [plain, plain]
