"""How much of a prompt joins a step, so that nobody who reads along is kept waiting, and no step is long.

Beside answers a step may take `STEADY_STEPS` times as long as one without prompts, or `max_interval` if that is more:
people read ten tokens a second and see no shorter pause. With nobody beside them prompts take longer steps, which still
end soon: whoever arrives or calls off waits for the end of one.

What a chunk of n tokens behind d others adds to a step is taken to be fixed + n token + n (d + n / 2) pair: the weights
are read, each token is computed, and each pair of a token with one before it. The three are learnt from the steps
themselves by a Kalman filter, which knows of each how sure it is: what tokens cost is not forgotten while a prompt is
deep. How much slower than that the machine is now, because of other programs, is learnt at once.
"""

from math import sqrt

import numpy as np
import numpy.typing as npt

from backends.protocol import EngineOptions

STEADY_STEPS = 4.0
MAX_INTERVAL = EngineOptions().max_interval  # seconds
AIM = 0.75  # of what a step may take, because steps of one size differ
ALONE_SECONDS = 1.0  # of a step with nobody beside its prompts
LITTLE = 0.25  # of a step's time may go to others where a prompt ends
WORTH = 4.0  # but a step is so many times as long as its fixed part at least, or most of it would go there
MIN_CHUNK = 8  # tokens
FIRST_CHUNK, FIRST_ALONE = 16, 128  # before anything is known, and at most twice the largest chunk after that
FIRST_GUESS = (0.008, 0.001, 0.000001)  # seconds: fixed, token, pair; the first step says how far off all of them are
LEAST = 0.01  # of that
SLOWER, QUICKER = 0.35, 0.25  # shares of an error that are learnt at once: who is late is late for somebody
MOST = 1.5  # times slower or quicker than expected that a step may count: where programs hold up many, smaller chunks
# would help nobody
SURE = 2.0  # deviations of an estimate that a chunk allows for
NOISE, DRIFT = 0.1, 0.02  # relative: of one step, and of what each part may change from step to step

Costs = npt.NDArray[np.float64]
Chunk = tuple[int, int]  # tokens, and how many the prompt has before them


class Pace:
    """Knows what chunks cost. Seconds are what they add to a step without them."""

    def __init__(self, max_interval: float = MAX_INTERVAL) -> None:
        self.max_interval = max_interval
        self._costs: Costs = np.array(FIRST_GUESS)  # of the three parts
        self._doubt: Costs = np.zeros((3, 3))  # their covariance
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
        worth = int(WORTH * self._costs[0] / self._costs[1])
        most = max(FIRST_ALONE, 2 * self._most_tokens)
        return Share(self, ALONE_SECONDS, min(room, most), max(MIN_CHUNK, worth))

    def seconds(self, num_tokens: int, depth: int) -> float:
        return self._slowness * float(_amounts([(num_tokens, depth)]) @ self._costs)

    def tokens(self, seconds: float, depth: int) -> int:
        """How many behind `depth` others take so long at most, as far as that is known."""
        fixed, token, pair = (self._slowness * self._costs).tolist()
        left, each = seconds - fixed, token + depth * pair
        if left <= 0:
            return 0
        num_tokens = 2 * left / (each + sqrt(each * each + 2 * pair * left))
        amounts = _amounts([(num_tokens, depth)])
        doubt = sqrt(amounts @ self._doubt @ amounts) / (amounts @ self._costs)
        return int(num_tokens / (1 + SURE * doubt))

    def observe(self, chunks: list[Chunk], seconds: float, answers_seconds: float) -> None:
        """A step with these chunks took so long, and without them would have taken `answers_seconds`."""
        amounts = _amounts(chunks)
        added = self._slowness * float(amounts @ self._costs)
        if not self._most_tokens:
            self._costs *= max((seconds - answers_seconds) / added, LEAST)
            self._doubt = np.diag(self._costs**2)
        else:
            expected = answers_seconds + added
            ratio = min(max(seconds / expected, 1 / MOST), MOST)
            self._learn(amounts, ratio * expected - answers_seconds, NOISE * expected)
            self._slowness *= ratio ** ((SLOWER if ratio > 1 else QUICKER) * added / expected)
        self._most_tokens = max(self._most_tokens, int(amounts[1]))

    def _learn(self, amounts: Costs, seconds: float, noise: float) -> None:
        self._doubt += np.diag((DRIFT * self._costs) ** 2)
        doubts = self._doubt @ amounts
        gain = doubts / (amounts @ doubts + noise**2)
        self._doubt -= np.outer(gain, doubts)
        self._costs = np.maximum(self._costs + gain * (seconds - float(amounts @ self._costs)), 1e-12)


def _amounts(chunks: list[tuple[float, int]] | list[Chunk]) -> Costs:
    """Chunks, their tokens, and the pairs of these with those before them."""
    num_tokens = sum(n for n, _ in chunks)
    return np.array([len(chunks), num_tokens, sum(n * (depth + n / 2) for n, depth in chunks)])


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
