"""Decides which tokens are decoded next. Knows sequences and slots, nothing of llama.cpp.

There is no prefill phase and no decode phase: every running sequence has pending tokens,
one after it has sampled, many while its prompt is read, and each step takes what fits.

Whoever stops for others is parked: it waits with its slot, and goes on there with the very cells it had, unless
somebody who runs needs the slot or the cells. So a person at the window takes the place of the newest batch answer at
once, and no place is kept empty for them meanwhile.
"""

from backends.drafting.pace import Share
from backends.drafting.speculation import Speculation
from backends.engine.followers import MIN_SHARED, Followers
from backends.engine.guesses import Guesses
from backends.engine.line import Line
from backends.engine.prefix_cache import PrefixCache
from backends.engine.prompt_turns import PromptTurns
from backends.engine.room import REFUSAL
from backends.engine.runner import Step
from backends.engine.sequence import Sequence
from backends.engine.turns import TURN_TOKENS, Turns
from backends.protocol import Finish


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
        self.max_running = min(max_running, cache.runner.limit.slots)
        self.max_batch_tokens = cache.runner.max_batch_tokens
        self.running: list[Sequence] = []
        self._waiting = Line()
        self._unread: set[Sequence] = set()  # stopped until their readers have read
        self._parked: set[Sequence] = set()  # of these and the waiting: those that have a slot
        self._answer_turns = Turns(turn_tokens)
        self._followers = Followers(min_shared)
        self._guesses = Guesses(cache.runner, speculation)
        self._behind: set[Sequence] = set()  # prompts that had to wait: others may have read on for them
        self._is_crowded = False  # no room was left: admit and guess nothing until a sequence finishes
        self._prompt_turns = PromptTurns()

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self.running

    @property
    def is_blocked(self) -> bool:
        """All that is there waits for a state from disk, or for its reader."""
        return not self.running and all(map(self.cache.keeper.is_held_back, self._waiting.standing()))

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
            self.cache.keeper.no_longer_waits(seq)
        self._unread.add(seq)

    def resume(self, seq: Sequence) -> None:
        if seq in self._unread:
            self._unread.remove(seq)
            self._waiting.put_last(seq)

    def schedule(self) -> list[Step]:
        """The next batch: answers with their guesses first, then as much of the prompts as fits."""
        self._end_a_turn()
        self._admit()
        turn = self._answer_turns.take(self.running)
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
                self._guesses.account_for(step, len(tokens) - 1)
            self.cache.checkpoints.note(seq)
            if seq.finish:
                self._retire(seq)
            elif seq.must_roll:
                self._followers.forget(seq)  # its tokens move
                self.cache.rolls.roll(seq)

    def make_room(self) -> None:
        """The KV cache is full: let it grow, else forget an old conversation, else one that is parked, else pause the
        newest sequence. Where slots share no cells, idle ones can only go altogether."""
        if self.cache.room.grow():
            return
        if not self.cache.runner.shares_cells:
            if not self.cache.trade():
                self._end_the_full()
            return
        if self.cache.evict() or (self._give_up_parked() and self.cache.evict()):
            return
        newest = max(self.running, key=self._waiting.rank)
        if not self._is_crowded:  # the guesses' cells may be all that is missing
            self._is_crowded = True
        elif len(self.running) == 1:
            self._end_for_want_of_memory(newest)
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
        self.cache.keeper.no_longer_waits(seq)
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
        self._answer_turns.check_integrity(self.running)
        assert len(set(self.sequences())) == len(self.sequences()), "a sequence is in two places"
        self._waiting.check_integrity()

    @property
    def _is_answering(self) -> bool:
        return any(seq.num_pending == 1 for seq in self.running)

    def _end_a_turn(self) -> None:
        """One that has said much goes behind the first that waits for its place, if that has no right to more."""
        is_full = self._is_crowded or len(self.running) == self.max_running
        if not self._waiting or not is_full or self.cache.keeper.is_held_back(self._waiting.first):
            return
        priority = self._waiting.first.priority
        if seq := self._answer_turns.overdue([seq for seq in self.running if seq.priority == priority]):
            self._park(seq)
            self._waiting.put_last(seq)

    def _admit(self) -> None:
        held_back: list[Sequence] = []
        self.cache.room.num_expected = min(len(self.running) + len(self._waiting), self.max_running)
        while self._waiting and self._may_enter(self._waiting.first):
            seq = self._waiting.pop()
            if seq.slot is None and self.cache.must_wait(seq):  # for its state from disk; others go first
                held_back.append(seq)
                continue
            if len(self.running) == self.max_running:
                self._give_way()
            if seq.slot is None and not self._find_slot(seq) and not self._displace(seq):
                held_back.append(seq)
                break
            self._parked.discard(seq)
            self._answer_turns.begin(seq)
            self.running.append(seq)
        for seq in held_back:
            self._waiting.put_back(seq)

    def _may_enter(self, seq: Sequence) -> bool:
        """When there is a place, or somebody of lower priority has one."""
        if not self._is_crowded and len(self.running) < self.max_running:
            return True
        return self._outranks(seq)

    def _outranks(self, seq: Sequence) -> bool:
        return any(other.priority > seq.priority for other in self.running)

    def _displace(self, seq: Sequence) -> bool:
        """Give it the slot of one of lower priority: all are busy, and there is no memory for another one."""
        if not self._outranks(seq):
            return False
        self._give_way()
        return self._find_slot(seq)

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
        seq = max(self._parked, key=lambda seq: (not self.cache.rolls.has_moved(seq), self._waiting.rank(seq)))
        self._parked.remove(seq)
        self.cache.release(seq)
        return True

    def _follows(self, seq: Sequence, readers: list[Sequence]) -> bool:
        if self.cache.runner.max_draft is not None:  # a checkpoint is unlikely to lie just where they part
            return False
        return self._followers.follows(seq, readers)

    def _answer_steps(self, answers: list[Sequence], is_beside_prompts: bool) -> list[Step]:
        if self._is_crowded:
            return [Step(seq, seq.tokens[-1:]) for seq in answers]
        return self._guesses.steps(answers, is_beside_prompts)

    def _prompt_steps(self, prompts: list[Sequence], num_rows: int) -> list[Step]:
        """Chunks beside so many rows of answers, as far as they go in the step's time."""
        share, may_score = self._share(num_rows), self.cache.runner.max_scored
        steps = []
        for seq in self._prompt_turns.order(self._readers(prompts)):
            if share.is_spent or (seq.num_unscored and not may_score):
                self._behind.add(seq)
                continue
            if seq in self._behind:
                self._behind.remove(seq)
                self.cache.catch_up(seq)
            begin = seq.num_computed
            most = self.cache.checkpoints.chunk_end(seq) - begin
            num_tokens = share.take(begin, min(most, may_score) if seq.num_unscored else most)
            if num_tokens:
                self._prompt_turns.took(seq, self.speculation.costs.pace.seconds(num_tokens, begin))
                steps.append(Step(seq, seq.tokens[begin : begin + num_tokens]))
                may_score -= len(steps[-1].scored)
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

    def _end_the_full(self) -> None:
        """Those whose slots cannot hold what they have yet to decode; if there are none, guesses were too many."""
        cells = self.cache.runner.size.cells
        full = [seq for seq in self.running if len(seq.tokens) > cells]
        for seq in full:
            self._end_for_want_of_memory(seq)
        self._is_crowded = not full

    def _end_for_want_of_memory(self, seq: Sequence) -> None:
        """Where the limit was reached, that is its length; else nobody has told its reader that it might be short."""
        if self.cache.room.is_short:
            seq.failure = REFUSAL
        self.finish(seq, Finish.LENGTH)

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
        self._answer_turns.end(seq)
        self._behind.discard(seq)
        self._followers.forget(seq)
        self.speculation.forget(seq)
