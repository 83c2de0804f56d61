"""The engine's tests must notice a broken engine: each bug below is put into a copy of it, and must be caught there."""

from pathlib import Path

import pytest

from tests.engine.broken import Runs, Suite, runs_fixture, sample, sound_fixture  # noqa: F401

SAMPLE = 20
pytestmark = pytest.mark.timeout(900)  # the first one waits for all

# file in backends, what stands there, the bug
MUTANTS = {
    "rejected guesses stay in the cache": (
        "engine/scheduler.py",
        "                self._guesses.account_for(step, len(tokens) - 1)",
        "                pass",
    ),
    "accepted guesses are decoded again": (
        "engine/scheduler.py",
        "seq.num_computed += i < len(tokens) - 1",
        "seq.num_computed += 0",
    ),
    "an answer goes on after its end": (
        "engine/scheduler.py",
        "                if seq.finish:\n                    break",
        "                pass",
    ),
    "a paused sequence is forgotten": (
        "engine/places.py",
        "        self._leave(seq)\n        self.waiting.put_back(seq)",
        "        self._leave(seq)",
    ),
    "after a full cache nobody is admitted": (
        "engine/places.py",
        "        self.waiting.forget(seq)\n        self.is_crowded = False\n",
        "        self.waiting.forget(seq)\n",
    ),
    "the window waits behind batch work": (
        "engine/line.py",
        "return seq.priority, self._number[seq]",
        "return 0, self._number[seq]",
    ),
    "the window waits for a place": (
        "engine/admission.py",
        "        return self._places.outranks(seq)\n",
        "        return False\n",
    ),
    "who gives way to the window is forgotten": (
        "engine/places.py",
        "        self._park(newest)\n        self.waiting.put_back(newest)",
        "        self._park(newest)",
    ),
    "an answer that nobody reads keeps its place": (
        "engine/places.py",
        "            self._park(seq)\n        else:",
        "            return\n        else:",
    ),
    "a parked sequence is thought to be elsewhere": (
        "engine/places.py",
        "        self._stop(seq)\n        self._parked.add(seq)",
        "        self._stop(seq)\n        self._cache.runner.truncate(seq.slot, 0)\n        self._parked.add(seq)",
    ),
    "a slot of a parked sequence is lost": (
        "engine/places.py",
        "            self._parked.remove(seq)\n            self._cache.release(seq)\n",
        "            self._parked.remove(seq)\n",
    ),
    "a long answer keeps its place": ("engine/admission.py", "        self._end_a_turn()\n", ""),
    "a client's requests all go before another's": (
        "engine/line.py",
        "        elif client in self._heads:",
        "        elif False:",
    ),
    "a prompt is read at one go beside answers": (
        "engine/scheduler.py",
        "        if not self._is_answering:",
        "        if True:",
    ),
    "prompts that begin alike are each read in full": (
        "engine/prompts.py",
        "if self._follows(seq, readers)",
        "if False",
    ),
    "who waited for a prompt starts from nothing": (
        "engine/prompts.py",
        "                self._cache.catch_up(seq)",
        "                pass",
    ),
    "prompts are read one after the other": (
        "engine/prompt_turns.py",
        "seq.priority, self._had[seq]",
        "seq.priority, 0",
    ),
    "a short prompt waits like a long one": (
        "engine/prompt_turns.py",
        "            ordered.insert(0, short)\n",
        "            ordered.append(short)\n",
    ),
    "who comes later has had nothing": (
        "engine/prompt_turns.py",
        "self._had.get(seq, self._level)",
        "self._had.get(seq, 0.0)",
    ),
    "the depth of a prompt costs nothing": ("drafting/chunk_costs.py", "depth + n / 2) for", "0) for"),
    "a prompt alone takes whole batches": ("drafting/pace.py", "Share(self, ALONE_SECONDS,", "Share(self, 1000.0,"),
    "guesses may lose whatever they like": (
        "drafting/credit.py",
        "self._added(lengths, draft_seconds)) > self._steps:",
        "self._added(lengths, draft_seconds)) > 1e9:",
    ),
    "the last token is not decoded": (
        "engine/sequence.py",
        "len(self.tokens) - 1  # the last",
        "len(self.tokens)  # the last",
    ),
    "other adapters share a batch": (
        "engine/turns.py",
        "turn = [seq for seq in running if seq.adapters == adapters]",
        "turn = list(running)",
    ),
    "answers with other adapters wait for the end": (
        "engine/turns.py",
        "                running[:] = others + turn\n",
        "                pass\n",
    ),
    "a request's limit of guesses is not kept": (
        "engine/sequence.py",
        "return left if self.max_draft is None else min(left, self.max_draft)",
        "return left",
    ),
    "cells of other adapters are reused": (
        "engine/slots.py",
        "in self.held().items() if self.adapters[slot] == adapters)",
        "in self.held().items())",
    ),
    "who waited for a prompt takes cells of other adapters": (
        "engine/prefix_cache.py",
        "self.match(seq.reusable, seq.adapters)",
        "max((self.match(seq.reusable, each) for each in set(self.slots.adapters.values())), key=lambda m: m[1])",
    ),
    "a state of other adapters is kept for the load's own": (
        "engine/keeper.py",
        "if self.store is None or not held or adapters != self._adapters:",
        "if self.store is None or not held:",
    ),
    "a state of the load's own adapters serves others": (
        "engine/keeper.py",
        "if self.store is None or seq.adapters != self._adapters:\n            return None",
        "if self.store is None:\n            return None",
    ),
    "a slot is thought to hold the undecoded token": (
        "engine/prefix_cache.py",
        "        held = seq.cached_tokens\n        self.rolls",
        "        held = list(seq.tokens)\n        self.rolls",
    ),
    "a recurrent state is reused in part": (
        "engine/cuts.py",
        "if shared == held or shared >= self._shortest(slot, held):",
        "if True:",
    ),
    "a slot keeps the checkpoints of what it forgot": (
        "engine/checkpoints.py",
        "self._by_slot.pop(slot, []) if each.length <= length]",
        "self._by_slot.pop(slot, [])]",
    ),
    "a checkpoint beyond the difference is taken": (
        "engine/checkpoints.py",
        "reversed(self._by_slot.get(slot, [])) if each.length <= length)",
        "reversed(self._by_slot.get(slot, [])))",
    ),
    "no chunk ends for a checkpoint": (
        "engine/checkpoints.py",
        "        if not self._is_needed:\n            return len(seq.tokens)",
        "        if True:\n            return len(seq.tokens)",
    ),
    "checkpoints know no budget": ("engine/checkpoints.py", "while self.num_bytes > self.budget", "while False"),
    "a copied slot has no checkpoints": (
        "engine/cuts.py",
        "        self._checkpoints.inherit(source, target)",
        "        pass",
    ),
    "recurrent sequences guess to different lengths": (
        "engine/guesses.py",
        "tokens[:shortest] for seq",
        "tokens for seq",
    ),
    "recurrent sequences guess while prompts are read": (
        "engine/guesses.py",
        "0 if is_beside_prompts else min(room, most)",
        "min(room, most)",
    ),
    "the draft model goes back further than its window": (
        "drafting/drafter.py",
        "if known < self._runner.shortest(mirror.slot, mirror.num_computed)",
        "if False",
    ),
    "a kept state returns with more than the prompt shares": (
        "engine/keeper.py",
        "        self._runner.truncate(slot, found.length)\n",
        "",
    ),
    "choices are aborted together": (
        "engine/line.py",
        "if entry[2] is not seq]",
        "if entry[2].tokens != seq.tokens]",
    ),
    "a rolled prefix is reused": (
        "engine/slots.py",
        "seq.cached_tokens[: self.heads.get(slot)] for",
        "seq.cached_tokens for",
    ),
    "what has rolled stays resident": (
        "engine/rolls.py",
        "            self._slots.heads[slot] = begin\n",
        "            pass\n",
    ),
    "a cell shared with another sequence is moved": (
        "engine/rolls.py",
        "        if any(other in slots.busy for other in sharers):",
        "        if False:",
    ),
    "a cell shared with an earlier conversation is moved": (
        "engine/rolls.py",
        "        for other in sharers:\n",
        "        for other in ():\n",
    ),
    "a rolled sequence thinks that it holds what is gone": (
        "engine/rolls.py",
        "            seq.num_computed -= end - begin\n",
        "            pass\n",
    ),
    "new slots are in no list": ("engine/slots.py", "[*reversed(new), *self.free]", "self.free"),
    "slots that have gone are handed out": (
        "engine/slots.py",
        "for slot in [*reversed(new), *self.free] if slot < num_slots]",
        "for slot in [*reversed(new), *self.free]]",
    ),
    "a cache grows beyond its limit": (
        "engine/room.py",
        "max(size.slots, min(needed.slots, limit.slots))",
        "max(size.slots, needed.slots)",
    ),
    "lost cells are thought to be there": ("engine/room.py", "            self._forget()\n", "            pass\n"),
    "who runs is thought to hold lost cells": (
        "engine/slots.py",
        "            seq.num_computed = 0\n",
        "            pass\n",
    ),
    "checkpoints of lost cells are taken": ("engine/prefix_cache.py", "        self.checkpoints.forget()\n", ""),
    "after a refusal as much is asked for in every step": (
        "engine/room.py",
        "if self._refused and self.is_short and wanted.covers(self._refused):",
        "if False:",
    ),
    "those who wait get their slots one by one": (
        "engine/room.py",
        "        if wants_slot or self.num_expected > size.slots:\n",
        "        if False:\n",
    ),
    "a prompt gets its cells step by step": (
        "engine/room.py",
        "        if not self._hold(Size(needed,",
        "        if not self._hold(Size(1,",
    ),
    "a full cache does not grow": (
        "engine/shortage.py",
        "        if cache.room.grow():\n",
        "        if False:\n",
    ),
    "a refused growth is believed in": (
        "engine/room.py",
        "        try:\n            self._runner.resize(size)\n",
        "        self._slots.resize(size.slots)\n        try:\n            self._runner.resize(size)\n",
    ),
    "a cache shrinks to less than it holds": (
        "engine/room.py",
        "held = slots.num_held if",
        "held = slots.num_tokens // 2 if",
    ),
    "a cache shrinks to fewer slots than hold something": (
        "engine/room.py",
        "max(self._least.slots, slots.num_needed)",
        "self._least.slots",
    ),
    "nobody says that an answer ended for want of memory": (
        "engine/shortage.py",
        "            seq.failure = REFUSAL\n",
        "            pass\n",
    ),
    "where memory is short the window waits": (
        "engine/admission.py",
        "and not self._displace(seq):",
        "and True:",
    ),
    "slots too short for their answers end them all": (
        "engine/shortage.py",
        "if len(seq.tokens) > cells]",
        "if True]",
    ),
    "guesses go beyond the window": (
        "engine/sequence.py",
        "        return left if self.window is None else",
        "        return left if True else",
    ),
    "a prefix is thought one token longer": ("prompt_cache/state.py", "    return low\n", "    return low + 1\n"),
    "the draft model keeps wrong tokens": (
        "drafting/drafter.py",
        "self._runner.truncate(mirror.slot, known)",
        "pass",
    ),
    "the draft model forgets what it computed": (
        "drafting/drafter.py",
        "                step.seq.num_computed += len(step.tokens)\n                step.seq.append",
        "                step.seq.append",
    ),
    "the draft model keeps its slots": (
        "drafting/speculation.py",
        "            drafter.forget(seq)\n",
        "            pass\n",
    ),
    "a prompt whose logprobs are wanted is taken from the cache": (
        "engine/sequence.py",
        "self.tokens[: len(self.prompt_logprobs) if self.num_unscored else end]",
        "self.tokens[:end]",
    ),
    "a prompt that is to be read anew is taken from the cache": (
        "engine/sequence.py",
        "        if not self.reuses:\n            return []\n",
        "",
    ),
    "more rows are scored than there is memory for": (
        "engine/prompts.py",
        "min(most, may_score) if seq.num_unscored else most",
        "most",
    ),
    "who wants many vectors has them before all others": ("engine/embedder.py", "self.jobs.rotate(-1)", "pass"),
    "the pieces of a text count alike": ("engine/embedder.py", "len(piece.tokens) / piece.length", "1"),
    "a text that is called off keeps its place": ("engine/embedder.py", "self._pooler.forget(0)", "pass"),
    "guesses are made whatever they cost": (
        "drafting/speculation.py",
        "        if gain >= MIN_GAIN:\n            return length\n",
        "        if gain >= 0:\n            return max(1, length)\n",
    ),
}


NAMES = (
    *("checkpoints", "drafting", "costs", "room", "schedules", "newcomers", "lookup", "prompt_logprobs", "embedder"),
    "reading_anew",
)


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Fewer schedules than usual: a bug that is worth its name shows within two thousand."""
    tests = tuple(f"tests/engine/test_{name}.py" for name in NAMES)
    return Suite(MUTANTS, ("backends", "tests/engine"), tests, {"SLIPSTREAM_CHUNKS": "2"})


@pytest.mark.real
def test_a_sound_copy_passes(suite: Suite, sound: Path) -> None:
    """By default its tests have just passed where they are."""
    result = suite.run(sound)
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("bug", sample(MUTANTS, SAMPLE))
def test_an_injected_bug_is_caught(bug: str, runs: Runs) -> None:
    result = runs[bug].result()
    assert result.returncode == 1, result.stdout[-2000:]
