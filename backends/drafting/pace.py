"""How much of a prompt joins a step, so that nobody who reads along is kept waiting, and no step is long.

Beside answers a step may take `STEADY_STEPS` times as long as one without prompts, or `max_interval` if that is more:
people read ten tokens a second and see no shorter pause. With nobody beside them prompts take longer steps, which still
end soon: whoever arrives or calls off waits for the end of one.

What a chunk adds to a step is learnt from the steps themselves (`ChunkCosts`), and at once how much slower than that
the machine is now, because of other programs.
"""

from math import sqrt

from backends.drafting.chunk_costs import Chunk, ChunkCosts, amounts
from backends.protocol import EngineOptions

STEADY_STEPS = 4.0
MAX_INTERVAL = EngineOptions().max_interval  # seconds
AIM = 0.75  # of what a step may take, because steps of one size differ
ALONE_SECONDS = 1.0  # of a step with nobody beside its prompts
LITTLE = 0.25  # of a step's time may go to others where a prompt ends
WORTH = 4.0  # but a step is so many times as long as its fixed part at least, or most of it would go there
MIN_CHUNK = 8  # tokens
FIRST_CHUNK, FIRST_ALONE = 16, 128  # before anything is known, and at most twice the largest chunk after that
SLOWER, QUICKER = 0.35, 0.25  # shares of an error that are learnt at once: who is late is late for somebody
MOST = 1.5  # times slower or quicker than expected that a step may count: where programs hold up many, smaller chunks
# would help nobody
SURE = 2.0  # deviations of an estimate that a chunk allows for
NOISE, DRIFT = 0.1, 0.02  # relative: of one step, and of what each part may change from step to step


class Pace:
    """Knows what chunks cost. Seconds are what they add to a step without them."""

    def __init__(self, max_interval: float = MAX_INTERVAL) -> None:
        self.max_interval = max_interval
        self._costs = ChunkCosts(DRIFT)
        self._slowness = 1.0
        self._most_tokens = 0  # of prompts in one step so far

    def beside(self, answers_seconds: float, room: int) -> "Share":
        """For prompts beside answers whose steps take so long without them. room: rows of the batch."""
        interval = max(STEADY_STEPS * answers_seconds, self.max_interval)
        most = max(FIRST_CHUNK, 2 * self._most_tokens)
        return Share(self, AIM * interval - answers_seconds, min(room, most), MIN_CHUNK)

    def spare(self, answers_seconds: float) -> float:
        """Seconds of such a step that prompts leave alone."""
        return (1 - AIM) * max(STEADY_STEPS * answers_seconds, self.max_interval)

    def alone(self, room: int) -> "Share":
        """For prompts with nobody beside them."""
        fixed, token, _ = self._costs.parts
        worth = int(WORTH * fixed / token)
        most = max(FIRST_ALONE, 2 * self._most_tokens)
        return Share(self, ALONE_SECONDS, min(room, most), max(MIN_CHUNK, worth))

    def seconds(self, num_tokens: int, depth: int) -> float:
        return self._slowness * self._costs.seconds(amounts([(num_tokens, depth)]))

    def tokens(self, seconds: float, depth: int) -> int:
        """How many behind `depth` others take so long at most, as far as that is known."""
        fixed, token, pair = (self._slowness * part for part in self._costs.parts)
        left, each = seconds - fixed, token + depth * pair
        if left <= 0:
            return 0
        num_tokens = 2 * left / (each + sqrt(each * each + 2 * pair * left))
        return int(num_tokens / (1 + SURE * self._costs.doubt(amounts([(num_tokens, depth)]))))

    def observe(self, chunks: list[Chunk], seconds: float, answers_seconds: float) -> None:
        """A step with these chunks took so long, and without them would have taken `answers_seconds`."""
        read = amounts(chunks)
        added = self._slowness * self._costs.seconds(read)
        if not self._costs.is_known:
            self._costs.learn(read, seconds - answers_seconds, 0.0)
        else:
            expected = answers_seconds + added
            ratio = min(max(seconds / expected, 1 / MOST), MOST)
            self._costs.learn(read, ratio * expected - answers_seconds, NOISE * expected)
            self._slowness *= ratio ** ((SLOWER if ratio > 1 else QUICKER) * added / expected)
        self._most_tokens = max(self._most_tokens, sum(num_tokens for num_tokens, _ in chunks))


class Share:
    """What of one step prompts may have; each takes its chunk."""

    def __init__(self, pace: Pace, seconds: float, room: int, least: int):
        """least: tokens for the first prompt, if its chunk has as many, however long they take."""
        self._pace = pace
        self._seconds = seconds
        self._little = LITTLE * seconds
        self._taken = 0.0
        self._room = room
        self._least = least

    @property
    def is_spent(self) -> bool:
        return self._room == 0

    def take(self, depth: int, most: int) -> int:
        """Tokens of a prompt behind `depth` others, `most` at most; 0 when hardly any time is left."""
        num_tokens = min(max(self._pace.tokens(self._seconds, depth), self._least), most, self._room)
        if num_tokens < min(most, MIN_CHUNK) and not self._least:
            num_tokens = 0
        self._least = 0
        taken = self._pace.seconds(num_tokens, depth)
        self._taken += taken
        self._seconds -= taken
        if num_tokens == most:  # its answer waits for the step: little longer than for its own part
            self._seconds = min(self._seconds, max(self._taken, self._little))
        self._room -= num_tokens
        if not num_tokens:
            self._room = 0
        return num_tokens
