"""What each client has asked for and has not got yet, so that none asks for all there is. Belongs to the server's loop.

A client is a key, or an address where none was shown. Who waits for an engine takes turns with the others there: see
backends/engine/line.py.
"""

from dataclasses import dataclass
from itertools import count

from app.server.core.client import Client
from app.server.core.refusal import Refusal

# below what one address may have in connections: who is told to wait still reaches the port
MAX_REQUESTS = 128
MAX_ANSWERS = 1024  # of all its requests: each may want several, and one alone may want more
MAX_ALL = 1024  # requests of all clients; each holds its prompt in memory
RETRY = {"Retry-After": "2"}  # seconds; nobody knows how long answers will be

_numbers = count(1)


@dataclass(slots=True)
class Account:
    number: int
    num_requests: int = 0
    num_answers: int = 0


@dataclass(frozen=True, slots=True)
class Booking:
    """One request's part of its client's account. turn: whose requests take turns with those of others."""

    account: Account
    name: str
    num_answers: int
    turn: int


class Accounts:
    def __init__(self) -> None:
        self._open: dict[str, Account] = {}
        self._num_requests = 0

    def book(self, client: Client, num_answers: int) -> Booking:
        """Raises Refusal when this client, or all of them together, must wait."""
        name = client.account
        account = self._open.get(name) or Account(next(_numbers))
        if account.num_requests >= MAX_REQUESTS:
            raise _too_many(f"{MAX_REQUESTS} requests of yours are being answered or wait")
        if account.num_requests and account.num_answers + num_answers > MAX_ANSWERS:
            raise _too_many(f"{account.num_answers} answers of yours are being made or wait")
        if self._num_requests >= MAX_ALL:
            message = f"{MAX_ALL} requests are being answered or wait. Try again in a moment."
            raise Refusal(503, message, code="overloaded", headers=RETRY)
        self._open[name] = account
        account.num_requests += 1
        account.num_answers += num_answers
        self._num_requests += 1
        # programs that look alike each have a turn of their own
        return Booking(account, name, num_answers, account.number if client.is_one_program else next(_numbers))

    def close(self, booking: Booking) -> None:
        """Once for each."""
        account = booking.account
        account.num_requests -= 1
        account.num_answers -= booking.num_answers
        self._num_requests -= 1
        if not account.num_requests:
            del self._open[booking.name]


def _too_many(what: str) -> Refusal:
    message = f"{what}, as many as one client may have. Wait for some of them, then try again."
    return Refusal(429, message, code="rate_limit_exceeded", headers=RETRY)
