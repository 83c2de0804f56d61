"""The tests of a cache that grows must notice a broken one: as `tests.engine.test_mutants`, on llama.cpp itself."""

from pathlib import Path

import pytest

from tests.engine.broken import Runs, Suite, runs_fixture, sample, sound_fixture  # noqa: F401

SAMPLE = 12
NOTICED = (1, -6)  # llama.cpp ends the process of who asks for what it cannot do
pytestmark = pytest.mark.timeout(900)  # the first one waits for all

# file in backends, what stands there, the bug
MUTANTS = {
    "keys that have yet to be turned are saved": ("llama/context.py", "        self._turn_keys()\n", ""),
    "a small context is given batches that it cannot take": (
        "llama/context.py",
        "        if num_rows > self.batch_tokens:",
        "        if False:",
    ),
    "the slots are empty in the next context": (
        "llama/context.py",
        "            self.memory.states.put_back(states)\n",
        "            pass\n",
    ),
    "after a refusal all is read again": (
        "llama/context.py",
        "        for params in (before, smaller):\n",
        "        for params in ():\n",
    ),
    "only as many cells as before are tried": (
        "llama/context.py",
        "        for params in (before, smaller):\n",
        "        for params in (before,):\n",
    ),
    "the smaller context does not hold what is held": (
        "llama/context.py",
        "max(num_needed, self._least_cells)",
        "self._least_cells",
    ),
    "what was held is thought to be in an empty context": ("llama/context.py", "        raise CellsLost\n", ""),
    "adapters are thought to be set in the next context": (
        "llama/runner.py",
        "        self._adapters = ()  # none are set in a context that is made anew\n",
        "",
    ),
    "the next context's slots are not counted": ("llama/runner.py", "        self.num_slots = size.slots\n", ""),
    "memory is not asked for": (
        "llama/runner.py",
        "            self._allowance.check(self.num_cells, num_cells)\n",
        "            pass\n",
    ),
    "shared cells are saved for each slot": (
        "llama/states.py",
        "if not slots or not self._is_unified:",
        "if True:",
    ),
    "a state that does not fit is thought to be back": ("llama/states.py", "if not is_read:", "if False:"),
    "a stream's state goes into as many streams alone": (
        "llama/states.py",
        "self.are_portable = not is_unified and",
        "self.are_portable = False and",
    ),
    "a state is put into the first stream": ("llama/stream_state.py", "begin = COUNT * stream", "begin = 0"),
    "the empty streams behind a state stay in it": (
        "llama/stream_state.py",
        "end = num_bytes - COUNT * (num_streams - 1 - stream)",
        "end = num_bytes",
    ),
    "a state keeps its number of streams": (
        "llama/stream_state.py",
        "HEAD.pack_into(copy, 0, magic, sequence, num_streams)",
        "HEAD.pack_into(copy, 0, magic, sequence, number)",
    ),
    "a kept state is written over": ("llama/stream_state.py", "copy = bytearray(payload)", "copy = payload"),
    "what is copied takes no memory": (
        "llama/allowance.py",
        "needed[RAM] = needed.get(RAM, 0) + copied",
        "needed.setdefault(RAM, 0)",
    ),
    "others are left no memory": ("llama/allowance.py", "num_bytes + MARGIN > left", "num_bytes > left"),
    "what the machine has is thought to be this process's": (
        "llama/allowance.py",
        "            mmap.mmap(-1, num_bytes + HEADROOM).close()\n",
        "            pass\n",
    ),
}


@pytest.fixture(scope="module")
def suite() -> Suite:
    """The tests without an engine of its own."""
    with_engines = "not same_text and not first_question and not rolls and not given_back"
    tests = ("tests/llama/test_growth.py", "-m", "not real", "-k", with_engines)
    return Suite(MUTANTS, ("app", "backends", "tests"), tests)


@pytest.mark.real
def test_a_sound_copy_passes(suite: Suite, sound: Path) -> None:
    """By default its tests have just passed where they are."""
    result = suite.run(sound)
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("bug", sample(MUTANTS, SAMPLE))
def test_an_injected_bug_is_caught(bug: str, runs: Runs) -> None:
    result = runs[bug].result()
    assert result.returncode in NOTICED, result.stdout[-2000:]
