"""States of a real model: back from RAM and, after a restart, from disk, with the very same text."""

import random
import shutil
from pathlib import Path

import pytest

from app.inference.supervisor import EngineState, Supervisor
from backends.protocol import CacheMiss, DraftMode, FlashAttention, KVLayout, KVType
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, start, timings

A = tuple(range(20, 320))
B = tuple(range(330, 560))
OPTIONS = {"draft": DraftMode.OFF, "parallel": 1, "kv_layout": KVLayout.UNIFIED, **EXACT}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "prompts"


def restart(load: Load, supervisor: Supervisor, model: Path, folder: Path, **options: object):  # type: ignore[no-untyped-def]
    supervisor.unload("tiny")
    return load(model, prompt_cache_folder=folder, **{**OPTIONS, **options})


def test_a_restart_reuses_the_prompt_from_disk_with_the_same_text(
    load: Load, supervisor: Supervisor, tiny: Path, folder: Path
) -> None:
    first = restart(load, supervisor, tiny, folder)
    fresh = [start(first, prompt).wait() for prompt in (A, B)]
    second = restart(load, supervisor, tiny, folder)
    assert len(list(folder.glob("*.state"))) == 2
    for prompt, answer in zip((A, B), fresh, strict=True):
        again = start(second, prompt).wait()
        account = timings(again)
        assert (account.cache_disk_n, account.prompt_n, account.cache_miss) == (len(prompt) - 1, 1, None)
        assert again.text == answer.text
    longer = timings(start(restart(load, supervisor, tiny, folder), (*A, 600, 601)))
    assert (longer.cache_disk_n, longer.cache_miss) == (len(A), CacheMiss.DIFFERENCE), "its answer went on otherwise"


@pytest.mark.real
@pytest.mark.parametrize("layout", [KVLayout.UNIFIED, KVLayout.STREAMS])
def test_a_load_of_other_sizes_reuses_the_prompt_where_it_fits(
    load: Load, supervisor: Supervisor, tiny: Path, folder: Path, layout: KVLayout
) -> None:
    first = restart(load, supervisor, tiny, folder, kv_layout=layout, kv_grow=False, context=1024)
    text = start(first, A).wait().text
    larger = restart(load, supervisor, tiny, folder, kv_layout=layout, parallel=4)
    again = start(larger, A).wait()
    assert timings(again).cache_disk_n == len(A) - 1
    assert again.text == text
    smaller = restart(load, supervisor, tiny, folder, kv_layout=layout, context=256)
    assert timings(start(smaller, A[:200], max_tokens=40)).cache_n == 0, "the state is longer than the context"


@pytest.mark.parametrize("kv_type", [KVType.F16, KVType.Q8_0])
def test_a_displaced_conversation_returns_from_ram(load: Load, tiny: Path, kv_type: KVType) -> None:
    quantizable = {"flash_attention": FlashAttention.AUTO}
    handle = load(tiny, context=512, **{**OPTIONS, **quantizable, "kv_type_k": kv_type, "kv_type_v": kv_type})
    text = start(handle, A).wait().text
    start(handle, B).wait()
    again = start(handle, A).wait()
    account = timings(again)
    assert (account.cache_ram_n, account.prompt_n) == (len(A) - 1, 1)
    assert again.text[:8] == text[:8]


def test_a_conversation_from_ram_goes_on_with_the_same_text(load: Load, tiny: Path) -> None:
    handle = load(tiny, context=512, **OPTIONS)
    text = start(handle, A).wait().text
    for prompt in (B, A, B):
        start(handle, prompt).wait()
    again = start(handle, A).wait()
    assert timings(again).cache_ram_n == len(A) - 1
    assert again.text == text


def test_without_ram_and_disk_it_is_evicted_and_says_so(load: Load, tiny: Path) -> None:
    handle = load(tiny, context=512, prompt_cache_ram=0, **OPTIONS)
    for prompt in (A, B):
        start(handle, prompt).wait()
    account = timings(start(handle, A))
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.EVICTED)


def test_a_different_model_of_the_same_shape_is_a_miss(
    load: Load, supervisor: Supervisor, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    start(restart(load, supervisor, tiny, folder), A).wait()
    other = tmp_path / "other" / tiny.name
    other.parent.mkdir()
    content = bytearray(tiny.read_bytes())
    content[-4000] ^= 1  # one bit of one weight
    other.write_bytes(content)
    account = timings(start(restart(load, supervisor, other, folder), A))
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.OTHER_BUILD)


def test_another_kv_type_is_a_miss(load: Load, supervisor: Supervisor, tiny: Path, folder: Path) -> None:
    start(restart(load, supervisor, tiny, folder), A).wait()
    account = timings(start(restart(load, supervisor, tiny, folder, kv_type_k=KVType.F16), A))
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.OTHER_BUILD)


def test_a_copy_of_the_same_model_elsewhere_is_a_hit(
    load: Load, supervisor: Supervisor, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    start(restart(load, supervisor, tiny, folder), A).wait()
    copy = Path(shutil.copy(tiny, tmp_path / "copy.gguf"))
    assert timings(start(restart(load, supervisor, copy, folder), A)).cache_disk_n == len(A) - 1


def test_a_damaged_state_is_a_miss_and_never_a_death(
    load: Load, supervisor: Supervisor, tiny: Path, folder: Path
) -> None:
    """Through a real engine a few; tests/engine/test_prompt_tiers.py does 500 at the file."""
    text = start(restart(load, supervisor, tiny, folder), A).wait().text
    supervisor.unload("tiny")
    (path,) = folder.glob("*.state")
    whole, pick = path.read_bytes(), random.Random(4)
    for cut in (False, True, False, True):
        at = pick.randrange(len(whole) // 2, len(whole))
        damaged = bytearray(whole[:at] if cut else whole)
        damaged[at - 1] ^= 16
        path.write_bytes(damaged)
        handle = restart(load, supervisor, tiny, folder)
        again = start(handle, A).wait()
        assert timings(again).cache_n == 0
        assert again.text == text
        assert handle.snapshot.state is EngineState.READY
        supervisor.unload("tiny")


def test_a_budget_on_disk_holds_over_restarts(load: Load, supervisor: Supervisor, tiny: Path, folder: Path) -> None:
    budget = 2_000_000
    for n in range(4):
        handle = restart(load, supervisor, tiny, folder, prompt_cache_disk=budget)
        start(handle, tuple(range(20 + n, 220 + n))).wait()
    supervisor.unload("tiny")
    sizes = [path.stat().st_size for path in folder.glob("*.state")]
    assert sizes
    assert sum(sizes) <= budget
