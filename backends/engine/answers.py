"""What has been said of each answer, and what is said next. Knows tokens and texts, no sequence and no step.

It belongs to the thread that speaks, which works beside the next decode. So a stop string may be found when the next
step has begun: nothing of that is said, and the steps are told to let the answer go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from backends.chat.answer_parser import AnswerParser, text_of
from backends.engine.logprobs import Logprobs
from backends.engine.news import Again, Begun, Ended, Said, Stepped
from backends.engine.text import TextStream
from backends.protocol import Finish, Output, PromptLogprobs, Timings
from backends.protocol.parts import Part, Text


@dataclass(slots=True)
class _Answer:
    eos: frozenset[int]
    text: TextStream
    signs: Mapping[int, str]  # of control tokens that stop strings name
    parser: AnswerParser | None
    tells_tokens: bool = False
    max_seconds: float | None = None
    has_line: bool = False  # a line has ended in it
    timings: Timings | None = None  # of the first tokens; none have come while it is None
    first_token: float = 0.0
    last_token: float = 0.0
    num_said: int = 0
    num_drafted: int = 0
    num_accepted: int = 0
    num_rolled: int = 0
    logprobs: Logprobs = field(default_factory=Logprobs)

    def take(self, said: Said, now: float) -> None:
        """The account of them."""
        if said.timings:
            self.timings, self.first_token = said.timings, now
        self.last_token = now
        self.num_rolled = said.num_rolled
        self.num_drafted += said.num_drafted
        self.num_accepted += said.num_accepted

    def mark(self, token: int) -> bytes | None:
        """Of a control token that the parser must see."""
        return self.parser.marks.get(token) if self.parser else None

    def is_late(self, now: float) -> bool:
        """It has had its time, and a line has ended in it: the rest of one would be of no use to whoever set it."""
        return self.max_seconds is not None and self.has_line and now - self.first_token > self.max_seconds

    def ids(self, tokens: list[int]) -> tuple[int, ...]:
        """Of its new tokens, if they are wanted; the one that ends it says nothing."""
        return tuple(token for token in tokens if token not in self.eos) if self.tells_tokens else ()

    def parts(self, text: str) -> tuple[str, tuple[Part, ...]]:
        """What is for the person, and all that the text turned out to be, if that is wanted."""
        return _in_short(self.parser.feed(text)) if self.parser else (text, ())

    def last_parts(self, text: str, finish: Finish, is_hurried: bool) -> tuple[str, tuple[Part, ...], Finish]:
        """The same, and how it has ended. is_hurried: as in Said."""
        if self.parser is None:
            return text, (), finish
        parts = self.parser.feed(text)
        rest, finish = self.parser.finish(finish, is_hurried)
        return *_in_short(parts + rest), finish

    def account(self, prompt: Timings) -> Timings:
        return replace(
            prompt,
            predicted_n=self.num_said,
            predicted_ms=1000 * (self.last_token - self.first_token),
            draft_n=self.num_drafted,
            draft_accepted_n=self.num_accepted,
            rolled_n=max(self.num_rolled, prompt.rolled_n),
        )


class Answers:
    def __init__(self, piece: Callable[[int], bytes], on_stop: Callable[[int], None]):
        """piece: the bytes of a token as they are shown. on_stop: told the uid whose stop string was found."""
        self._piece = piece
        self._on_stop = on_stop
        self._answers: dict[int, _Answer] = {}

    def begin(self, begun: Begun) -> None:
        stops = begun.stops
        text = TextStream(stops.texts, stops.stand_ins.values())
        self._answers[begun.uid] = _Answer(
            begun.eos, text, stops.stand_ins, begun.parser, begun.tells_tokens, begun.max_seconds
        )

    def say(self, stepped: Stepped) -> tuple[Output, ...]:
        """What the step has added, but for those that have ended before."""
        answers, now = self._answers, stepped.now
        return tuple(self._output(answers[said.uid], said, now) for said in stepped.said if said.uid in answers)

    def whole(self, again: Again) -> Stepped:
        """All that could have been told of it."""
        num_rolled = [self._answers[uid].num_rolled if uid in self._answers else 0 for uid in again.uids]
        columns = zip(again.uids, again.sampled, num_rolled, strict=True)
        said = [Said(uid, tokens, 0, rolled, None, [], None) for uid, tokens, rolled in columns]
        return Stepped(said, len(said), 0, again.now, again.decode_seconds, again.step_seconds)

    def end(self, ended: Ended) -> tuple[Output, ...]:
        answer = self._answers.get(ended.uid)
        if answer is None:
            return ()
        last = self._last(ended.uid, answer, ended.finish, ended.timings)
        return (replace(last, problem=ended.problem),) if ended.problem else (last,)

    def lose(self, uid: int) -> bool:
        """False when it has ended before."""
        return self._answers.pop(uid, None) is not None

    def _output(self, answer: _Answer, said: Said, now: float) -> Output:
        answer.take(said, now)
        text, new = self._read(answer, said)
        is_late = answer.is_late(now)
        ids = answer.ids(said.tokens[:new])
        if (answer.text.stopped or is_late) and not said.finish:
            self._on_stop(said.uid)
        if said.finish or answer.text.stopped or is_late:
            assert answer.timings, "its first tokens came with the prompt's account"
            finish = said.finish or (Finish.LENGTH if is_late else Finish.STOP)
            hurried = said.is_hurried
            return self._last(said.uid, answer, finish, answer.timings, text, new, said.prompt, ids, is_hurried=hurried)
        logprobs = answer.logprobs.take(answer.text) if said.logprobs else ()
        text, parts = answer.parts(text)
        return Output(said.uid, text, new, None, said.timings, logprobs, None, said.prompt, parts, ids)

    def _read(self, answer: _Answer, said: Said) -> tuple[str, int]:
        """What the tokens say, and how many of them belong to the answer: none behind its end."""
        text, read, num_new = "", answer.text, 0
        for token in said.tokens:
            num_new += 1
            if token in answer.eos:
                break
            begin = read.num_heard if said.logprobs else 0
            text += read.push(answer.mark(token) or self._piece(token), answer.signs.get(token, ""))
            if said.logprobs:
                answer.logprobs.add(said.logprobs[num_new - 1](), begin, read.num_heard)
            if read.stopped:
                break
        answer.num_said += num_new
        answer.has_line = answer.has_line or "\n" in text
        return text, num_new

    def _last(
        self,
        uid: int,
        answer: _Answer,
        finish: Finish,
        prompt: Timings,
        text: str = "",
        num_new: int = 0,
        of_prompt: PromptLogprobs | None = None,
        ids: tuple[int, ...] = (),
        is_hurried: bool = False,
    ) -> Output:
        del self._answers[uid]
        is_cut = answer.text.stopped
        finish = Finish.STOP if is_cut else finish
        text, parts, finish = answer.last_parts(text + answer.text.finish(), finish, is_hurried)
        logprobs = answer.logprobs.take(answer.text) if is_cut else answer.logprobs.take_rest()
        account, stop = answer.account(prompt), answer.text.stop
        return Output(uid, text, num_new, finish, account, logprobs, stop, of_prompt, parts, ids)


def _in_short(parts: tuple[Part, ...]) -> tuple[str, tuple[Part, ...]]:
    """The text for the person, and the parts where they are more than that."""
    is_text = all(isinstance(part, Text) for part in parts)
    return text_of(parts), () if is_text else parts
