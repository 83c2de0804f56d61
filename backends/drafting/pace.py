"""How much of a prompt joins a step, so that nobody who reads along is kept waiting, and no step is long.

Beside answers a step may take `STEADY_STEPS` times as long as one without prompts, or `max_interval` if that is more:
people read ten tokens a second and see no shorter pause. With nobody beside them prompts take longer steps, which still
end soon: whoever arrives or calls off waits for the end of one.

What a chunk of n tokens behind d others adds to a step is taken to be fixed + n token + n (d + n / 2) pair: the weights
are read, each token is computed, and each pair of a token with one before it. The three are learnt from the steps
themselves: of what a step took more or less than it should, most goes to the part that most of the estimate was. So a
chunk at the beginning of a prompt teaches what tokens cost, one far behind what pairs do, the end of one what is fixed.
"""

from math import exp, log, sqrt

from backends.protocol import EngineOptions

STEADY_STEPS = 4.0
MAX_INTERVAL = EngineOptions().max_interval  # seconds
AIM = 0.8  # of what a step may take, because steps of one size differ
ALONE_SECONDS = 1.0  # of a step with nobody beside its prompts
WORTH = 4.0  # but a step is so many times as long as its fixed part at least, or most of it would go there
MIN_CHUNK = 4  # tokens
FIRST_CHUNK, FIRST_ALONE = 16, 128  # before anything is known, and at most twice the largest chunk after that
FIRST_TOKEN = 0.001  # seconds, a guess that nobody relies on
FIXED_TOKENS, DEEP = 8, 1024  # at first the fixed part counts as 8 tokens, and pairs double the cost of a token so deep
SLOWER, QUICKER = 0.5, 0.25  # shares of an error that are learnt at once: who is late is late for somebody
MOST_SLOWER, MOST_QUICKER = 3.0, 0.25  # a step that the system held up says no more than that
LEAST = 0.01  # of the guess above, if the first step says less

Chunk = tuple[int, int]  # tokens, and how many the prompt has before them


class Pace:
    """Knows what chunks cost. Seconds are what they add to a step without them."""

    def __init__(self, max_interval: float = MAX_INTERVAL) -> None:
        self.max_interval = max_interval
        self._fixed, self._token, self._pair = FIXED_TOKENS * FIRST_TOKEN, FIRST_TOKEN, FIRST_TOKEN / DEEP
        self._most_tokens = 0  # of prompts in one step so far

    def beside(self, answers_seconds: float, room: int) -> "Share":
        """For prompts beside answers whose steps take so long without them. room: rows of the batch."""
        interval = max(STEADY_STEPS * answers_seconds, self.max_interval)
        most = max(FIRST_CHUNK, 2 * self._most_tokens)
        return Share(self, AIM * interval - answers_seconds, min(room, most), MIN_CHUNK)

    def alone(self, room: int) -> "Share":
        """For prompts with nobody beside them."""
        worth = int(WORTH * self._fixed / self._token)
        most = max(FIRST_ALONE, 2 * self._most_tokens)
        return Share(self, ALONE_SECONDS, min(room, most), max(MIN_CHUNK, worth))

    def seconds(self, num_tokens: int, depth: int) -> float:
        return sum(self._parts([(num_tokens, depth)]))

    def tokens(self, seconds: float, depth: int) -> int:
        """How many behind `depth` others take so long."""
        left, each = seconds - self._fixed, self._token + depth * self._pair
        return int(2 * left / (each + sqrt(each * each + 2 * self._pair * left))) if left > 0 else 0

    def observe(self, chunks: list[Chunk], seconds: float) -> None:
        """These chunks added so much to a step."""
        parts = self._parts(chunks)
        expected = sum(parts)
        if self._most_tokens:
            ratio = min(max(seconds / expected, MOST_QUICKER), MOST_SLOWER)
            rate = SLOWER if ratio > 1 else QUICKER
            gain = rate * log(ratio) * expected / sum(part**3 for part in parts)
            factors = [exp(gain * part**2) for part in parts]
        else:
            factors = [max(seconds / expected, LEAST)] * 3  # the first one is believed
        self._fixed *= factors[0]
        self._token *= factors[1]
        self._pair *= factors[2]
        self._most_tokens = max(self._most_tokens, sum(num_tokens for num_tokens, _ in chunks))

    def _parts(self, chunks: list[Chunk]) -> tuple[float, float, float]:
        num_tokens = sum(n for n, _ in chunks)
        num_pairs = sum(n * (depth + n / 2) for n, depth in chunks)
        return len(chunks) * self._fixed, num_tokens * self._token, num_pairs * self._pair


class Share:
    """What of one step prompts may have; each takes its chunk."""

    def __init__(self, pace: Pace, seconds: float, room: int, least: int):
        """least: tokens for the first prompt, if its chunk has as many, however long they take."""
        self._pace = pace
        self._seconds = seconds
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
        self._seconds -= self._pace.seconds(num_tokens, depth)
        self._room -= num_tokens
        if not num_tokens:
            self._room = 0
        return num_tokens
