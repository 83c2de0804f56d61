"""Kept states on one loaded model, without a process each: 200 damaged files, and another model of the same shape."""

import random
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from app.jobs.convert import convert_checkpoint
from backends.engine.engine import Engine
from backends.engine.runner import LoadedModel
from backends.engine.sequence import Sequence
from backends.llama.loader import load
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import open_store
from backends.protocol import CacheMiss, DraftMode, EngineOptions, Generate, Load, Timings
from tests.convert import checkpoints
from tests.llama.test_engine import EXACT
from tests.patience import PATIENCE as SECONDS

NUM_DAMAGES = 200
PROMPT = list(range(20, 140))


def open_model(path: Path) -> LoadedModel:
    options = EngineOptions(context=512, parallel=1, draft=DraftMode.OFF, **EXACT)  # type: ignore[arg-type]
    return load(Load(path, path.stem, options), lambda _fraction: None)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Iterator[LoadedModel]:
    model = open_model(tiny)
    yield model
    model.close()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """The same shape and vocabulary, other weights."""
    folder = tmp_path_factory.mktemp("twin")
    config = checkpoints.config(max_position_embeddings=2048)
    checkpoints.write(folder / "checkpoint", config, **checkpoints.weights(config, seed=1))
    convert_checkpoint(folder / "checkpoint", folder / "twin.gguf", "f32", logs=folder)
    model = open_model(folder / "twin.gguf")
    yield model
    model.close()


def life(model: LoadedModel, folder: Path | None) -> tuple[list[int], Timings]:
    """What an engine that starts, answers PROMPT and ends says; and its account."""
    inbox: SimpleQueue[Read] = SimpleQueue()
    options = EngineOptions(parallel=1, draft=DraftMode.OFF, prompt_cache_folder=folder, prompt_cache_ram=1 << 24)
    store = open_store(options, model.state_key(), True, inbox.put)
    engine = Engine(model, options, store)
    seq = Sequence.of(Generate(tuple(PROMPT), max_tokens=6), list(PROMPT), model.ready.context, frozenset())
    engine.add(seq)
    while not engine.is_idle:
        engine.step()
        if engine.is_blocked and not engine.is_idle:
            engine.take(inbox.get(timeout=SECONDS))
    engine.close()
    assert store.costs.prompt_token or seq.num_cached, "the store knows what a prompt costs"
    return seq.completion, seq.timings()


def test_each_damaged_file_is_a_miss(model: LoadedModel, tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    cold, _ = life(model, None)
    assert life(model, folder)[0] == cold
    (path,) = folder.glob("*.state")
    whole, pick = path.read_bytes(), random.Random(5)
    reasons = set()
    for n in range(NUM_DAMAGES):
        at = n if n < 100 else pick.randrange(len(whole))  # all of the head, then anywhere
        damaged = bytearray(whole if n % 2 else whole[:at])
        if n % 2:
            damaged[at] ^= 1 << pick.randrange(8)
        path.write_bytes(damaged)
        said, account = life(model, folder)
        assert (said, account.cache_n) == (cold, 0), (n, at)
        reasons.add(account.cache_miss)
    assert reasons == {CacheMiss.DAMAGED, CacheMiss.NO_EARLIER_PROMPT}, "seen when it is read, or when it is listed"
    path.write_bytes(whole)
    said, account = life(model, folder)
    assert (said, account.cache_disk_n, account.cache_miss) == (cold, len(PROMPT) - 1, None)


def test_another_model_of_the_same_shape_does_not_take_the_state(
    model: LoadedModel, twin: LoadedModel, tmp_path: Path
) -> None:
    folder = tmp_path / "prompts"
    mine, _ = life(model, folder)
    cold, _ = life(twin, None)
    said, account = life(twin, folder)
    assert (said, account.cache_n, account.cache_miss) == (cold, 0, CacheMiss.OTHER_BUILD)
    assert said != mine
    assert len(list(folder.glob("*.state"))) == 2, "each has its own"
    assert life(model, folder)[1].cache_disk_n == life(twin, folder)[1].cache_disk_n == len(PROMPT) - 1
