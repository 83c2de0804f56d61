"""How long a download waits and how often it tries again."""

import random
import re
import time
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime

RATE_LIMIT = re.compile(r"\bt=(\d{1,9})")  # of the Hub's header: "api";r=0;t=55
MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. A try that brings the file further than ever starts the count of failures anew."""

    tries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_order: float = 600.0  # a server that asks for a longer wait is told of, not obeyed
    connect: float = 15.0
    silence: float = 30.0  # a connection that brings nothing for so long is given up
    connections: int = 3

    def wait(self, num_failures: int, ordered: float | None) -> float:
        """What the server asks for, or exponentially more with each failure; never two clients at the same instant."""
        if ordered is not None:
            return ordered + random.random() * self.first_wait
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (num_failures - 1))
        return longest * (0.5 + random.random() / 2)


def ordered_wait(headers: Message) -> float | None:
    """Seconds that Retry-After (a number or a date) or ratelimit ask for."""
    after = headers.get("Retry-After", "").strip()
    if after.isdecimal():
        return float(after[:MAX_DIGITS])  # more would be infinite
    if after:
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
        except ValueError:
            return None
    limit = RATE_LIMIT.search(headers.get("ratelimit", ""))
    return float(limit[1]) if limit else None
