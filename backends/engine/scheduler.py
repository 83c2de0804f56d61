"""Decides which tokens are decoded next. Knows sequences and slots, nothing of llama.cpp.

There is no prefill phase and no decode phase: every running sequence has pending tokens,
one after it has sampled, many while its prompt is read, and each step takes what fits.

Whoever stops for others is parked: it waits with its slot, and goes on there with the very cells it had, unless
somebody who runs needs the slot or the cells. So a person at the window takes the place of the newest batch answer at
once, and no place is kept empty for them meanwhile.
"""

from backends.drafting.pace import Share
from backends.drafting.speculation import Speculation
from backends.engine.line import Line
from backends.engine.prefix_cache import PrefixCache
from backends.engine.prompt_turns import PromptTurns
from backends.engine.runner import Step
from backends.engine.sequence import Sequence
from backends.prompt_cache.state import common_prefix
from backends.protocol import Finish

MIN_SHARED = 64  # tokens that two prompts must both still need, for one to wait until the other has read them
# before answers with other adapters go on: each change has llama.cpp plan its graphs anew, 5 ms for 16 small layers
TURN_STEPS = 8
# that an answer may say before it goes behind those that wait: one without end would keep its place for ever. Longer
# than most answers, as a slot that is given up costs a prompt to read again
TURN_TOKENS = 1024


class Scheduler:
    def __init__(
        self,
        cache: PrefixCache,
        speculation: Speculation,
        max_running: int,
        min_shared: int = MIN_SHARED,
        turn_tokens: int = TURN_TOKENS,
    ):
        self.cache = cache
        self.speculation = speculation
        self.min_shared = min_shared
        self.turn_tokens = turn_tokens
        self.max_running = min(max_running, cache.runner.num_slots)
        self.max_batch_tokens = cache.runner.max_batch_tokens
        self.running: list[Sequence] = []
        self._waiting = Line()
        self._unread: set[Sequence] = set()  # stopped until their readers have read
        self._parked: set[Sequence] = set()  # of these and the waiting: those that have a slot
        self._turn_began: dict[Sequence, int] = {}  # of the running: what they had said when they were let in
        self._shared: dict[Sequence, dict[Sequence, int]] = {}  # of prompts being read: how far they begin alike
        self._behind: set[Sequence] = set()  # prompts that had to wait: others may have read on for them
        self._is_crowded = False  # no room was left: admit and guess nothing until a sequence finishes
        self._turn_steps = 0
        self._turns = PromptTurns()

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self.running

    @property
    def is_blocked(self) -> bool:
        """All that is there waits for a state from disk, or for its reader."""
        return not self.running and all(map(self.cache.is_held_back, self._waiting.standing()))

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def add(self, seq: Sequence) -> None:
        self._waiting.add(seq)

    def pause(self, seq: Sequence) -> None:
        """Its reader does not read: others have its place until `resume`."""
        if seq.finish or seq in self._unread:
            return
        if seq in self.running:
            self._park(seq)
        else:
            self._waiting.remove(seq)
            self.cache.no_longer_waits(seq)
        self._unread.add(seq)

    def resume(self, seq: Sequence) -> None:
        if seq in self._unread:
            self._unread.remove(seq)
            self._waiting.put_last(seq)

    def schedule(self) -> list[Step]:
        """The next batch: answers with their guesses first, then as much of the prompts as fits."""
        self._end_a_turn()
        self._admit()
        turn = self._take_turn()
        answers = [seq for seq in turn if seq.num_pending == 1]
        prompts = [seq for seq in turn if seq.num_pending > 1]
        steps = self._answer_steps(answers[: self.max_batch_tokens], bool(prompts))
        return steps + self._prompt_steps(prompts, sum(step.num_rows for step in steps))

    def update(self, steps: list[Step], sampled: list[list[int]]) -> None:
        """Book the decoded tokens, take the accepted ones, let the finished go."""
        for step, tokens in zip(steps, sampled, strict=True):
            seq = step.seq
            seq.num_computed += len(step.tokens)
            for i, token in enumerate(tokens):
                seq.append(token)
                if seq.finish:
                    break
                seq.num_computed += i < len(tokens) - 1  # an accepted guess is in the cache already
            if step.draft:
                self._account_for_draft(step, len(tokens) - 1)
            self.cache.checkpoints.note(seq)
            if seq.finish:
                self._retire(seq)
            elif seq.must_roll:
                self._forget_shared(seq)  # its tokens move
                self.cache.roll(seq)

    def make_room(self) -> None:
        """The KV cache is full: forget an old conversation, else one that is parked, else pause the newest sequence.
        Where slots share no cells this does not happen: a slot has as many as its sequence may have tokens."""
        if self.cache.evict() or (self._give_up_parked() and self.cache.evict()):
            return
        newest = max(self.running, key=self._waiting.rank)
        if not self._is_crowded:  # the guesses' cells may be all that is missing
            self._is_crowded = True
        elif len(self.running) == 1:
            self.finish(newest, Finish.LENGTH)
        else:
            self._leave(newest)  # resident still, and evicted if that is not enough
            self._waiting.put_back(newest)

    def finish(self, seq: Sequence, reason: Finish) -> None:
        """End a sequence now, whether it runs or not."""
        if seq.finish:
            return
        seq.finish = reason
        if seq in self.running:
            self._retire(seq)
            return
        self._unread.discard(seq)
        self._waiting.remove(seq)
        self._waiting.forget(seq)
        self.cache.no_longer_waits(seq)
        if seq in self._parked:
            self._parked.remove(seq)
            self.cache.release(seq)

    def sequences(self) -> list[Sequence]:
        return [*self.running, *self._waiting, *self._unread]

    def check_integrity(self) -> None:
        self.cache.check_integrity()
        assert len(self.running) <= self.max_running
        assert all(seq.slot is not None and not seq.finish for seq in self.running)
        stopped = [*self._waiting, *self._unread]
        assert not any(seq.finish for seq in stopped)
        assert self._parked == {seq for seq in stopped if seq.slot is not None}
        assert set(self._turn_began) == set(self.running)
        assert len(set(self.sequences())) == len(self.sequences()), "a sequence is in two places"
        self._waiting.check_integrity()

    @property
    def _is_answering(self) -> bool:
        return any(seq.num_pending == 1 for seq in self.running)

    def _take_turn(self) -> list[Sequence]:
        """The running sequences that this batch may hold: llama.cpp applies the same adapters to all of its rows.

        The first of `running` goes, and with it all that have its adapters; at the end of their turn they go last.
        """
        adapters = self.running[0].adapters if self.running else ()
        turn = [seq for seq in self.running if seq.adapters == adapters]
        others = [seq for seq in self.running if seq.adapters != adapters]
        if others:
            self._turn_steps += 1
            if self._turn_steps >= TURN_STEPS or any(seq.num_pending > 1 for seq in turn):  # a prompt's step is long
                self._turn_steps = 0
                self.running = others + turn
        return turn

    def _end_a_turn(self) -> None:
        """One that has said much goes behind the first that waits for its place, if that has no right to more."""
        is_full = self._is_crowded or len(self.running) == self.max_running
        if not self._waiting or not is_full or self.cache.is_held_back(self._waiting.first):
            return
        priority = self._waiting.first.priority
        equals = [seq for seq in self.running if seq.priority == priority]
        longest = max(equals, key=self._said_in_turn, default=None)
        if longest and self._said_in_turn(longest) >= self.turn_tokens:
            self._park(longest)
            self._waiting.put_last(longest)

    def _said_in_turn(self, seq: Sequence) -> int:
        return seq.num_completion - self._turn_began[seq]

    def _admit(self) -> None:
        held_back: list[Sequence] = []
        while self._waiting and self._may_enter(self._waiting.first):
            seq = self._waiting.pop()
            if seq.slot is None and self.cache.must_wait(seq):  # for its state from disk; others go first
                held_back.append(seq)
                continue
            if len(self.running) == self.max_running:
                self._give_way()
            if seq.slot is None and not self._find_slot(seq):
                held_back.append(seq)
                break
            self._parked.discard(seq)
            self._turn_began[seq] = seq.num_completion
            self.running.append(seq)
        for seq in held_back:
            self._waiting.put_back(seq)

    def _may_enter(self, seq: Sequence) -> bool:
        """When there is a place, or somebody of lower priority has one."""
        if not self._is_crowded and len(self.running) < self.max_running:
            return True
        return any(other.priority > seq.priority for other in self.running)

    def _give_way(self) -> None:
        newest = max(self.running, key=self._waiting.rank)
        self._park(newest)
        self._waiting.put_back(newest)

    def _find_slot(self, seq: Sequence) -> bool:
        return self.cache.admit(seq) or (self._give_up_parked() and self.cache.admit(seq))

    def _give_up_parked(self) -> bool:
        """Take a parked sequence's slot: it finds its tokens again if they are there still. False when there is none.

        Last those whose tokens have moved, which would be read again without what they have seen.
        """
        if not self._parked:
            return False
        seq = max(self._parked, key=lambda seq: (not self.cache.has_moved(seq), self._waiting.rank(seq)))
        self._parked.remove(seq)
        self.cache.release(seq)
        return True

    def _follows(self, seq: Sequence, readers: list[Sequence]) -> bool:
        """Whether a reader is at a text that seq needs, too: its cells are shared as soon as it is through."""
        if self.cache.runner.max_draft is not None:  # a checkpoint is unlikely to lie just where they part
            return False
        shared = {reader: self._num_shared(seq, reader) for reader in readers}
        return any(r.num_computed < n and n - seq.num_computed >= self.min_shared for r, n in shared.items())

    def _num_shared(self, seq: Sequence, reader: Sequence) -> int:
        known = self._shared.setdefault(seq, {})
        if reader not in known:
            known[reader] = common_prefix(reader.tokens, seq.tokens[:-1])
        return known[reader]

    def _answer_steps(self, answers: list[Sequence], is_beside_prompts: bool) -> list[Step]:
        guesses = {} if self._is_crowded else self._guesses(answers, is_beside_prompts)
        return [Step(seq, seq.tokens[-1:], guesses.get(seq, [])) for seq in answers]

    def _prompt_steps(self, prompts: list[Sequence], num_rows: int) -> list[Step]:
        """Chunks beside so many rows of answers, as far as they go in the step's time."""
        share = self._share(num_rows)
        steps = []
        for seq in self._turns.order(self._readers(prompts)):
            if share.is_spent:
                self._behind.add(seq)
                continue
            if seq in self._behind:
                self._behind.remove(seq)
                self.cache.catch_up(seq)
            begin = seq.num_computed
            num_tokens = share.take(begin, self.cache.checkpoints.chunk_end(seq) - begin)
            if num_tokens:
                self._turns.took(seq, self.speculation.costs.pace.seconds(num_tokens, begin))
                steps.append(Step(seq, seq.tokens[begin : begin + num_tokens]))
        return steps

    def _share(self, num_rows: int) -> Share:
        costs, room = self.speculation.costs, self.max_batch_tokens - num_rows
        if not self._is_answering:
            return costs.pace.alone(room)
        return costs.pace.beside(costs.answers(num_rows or 1), room)  # those with other adapters wait for the step

    def _readers(self, prompts: list[Sequence]) -> list[Sequence]:
        """Those that do not wait for another one to read what they need, too."""
        readers: list[Sequence] = []
        for seq in sorted(prompts, key=self._waiting.rank):
            if self._follows(seq, readers):
                self._behind.add(seq)
            else:
                readers.append(seq)
        return readers

    def _guesses(self, answers: list[Sequence], is_beside_prompts: bool) -> dict[Sequence, list[int]]:
        room, most = (self.max_batch_tokens - len(answers)) // max(1, len(answers)), self.cache.runner.max_draft
        if most is not None:  # a prompt beside them would be longer, see Runner
            room = 0 if is_beside_prompts else min(room, most)
        if not room or not answers:  # all may wait for the disk
            return {}
        limits = {seq: min(room, seq.most_guesses) for seq in answers if seq.max_draft != 0}
        guesses = self.speculation.propose(limits)
        if most is not None:
            shortest = min(len(guesses.get(seq, [])) for seq in answers)
            guesses = {seq: tokens[:shortest] for seq, tokens in guesses.items()}
        return guesses

    def _account_for_draft(self, step: Step, num_accepted: int) -> None:
        seq = step.seq
        assert seq.slot is not None
        self.cache.runner.truncate(seq.slot, seq.num_computed)
        seq.num_drafted += len(step.draft)
        seq.num_accepted += num_accepted
        self.speculation.observe(seq, len(step.draft), num_accepted)

    def _retire(self, seq: Sequence) -> None:
        self._leave(seq)
        self._waiting.forget(seq)
        self._is_crowded = False

    def _park(self, seq: Sequence) -> None:
        self._stop(seq)
        self._parked.add(seq)
        self._is_crowded = False  # its cells can be had

    def _leave(self, seq: Sequence) -> None:
        self._stop(seq)
        self.cache.release(seq)

    def _stop(self, seq: Sequence) -> None:
        self.running.remove(seq)
        del self._turn_began[seq]
        self._behind.discard(seq)
        self._forget_shared(seq)
        self.speculation.forget(seq)

    def _forget_shared(self, seq: Sequence) -> None:
        self._shared.pop(seq, None)
        for known in self._shared.values():
            known.pop(seq, None)
