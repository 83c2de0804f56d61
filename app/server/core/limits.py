"""How long a connection may keep the port waiting, and how many there may be. Values only."""

import sys
from dataclasses import dataclass

MAX_CONNECTIONS = 512
MAX_BODY = 8 * 2**20
MAX_PARTS = 2**17  # texts, names, lists and objects of one body: a chat of 10,000 messages of several parts
MAX_VALUES = 2**20 + MAX_PARTS  # and its numbers: as many ids as the longest context has tokens
MAX_QUOTED = 80  # characters of what a request said, within a sentence
SHARE_OF_FILES = 4  # engines, downloads and the library open files as well


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts."""

    header: float = 10.0  # from the first moment, or the end of the last answer, to the end of a request's header
    body: float = 30.0  # for a whole body, and longer with what has come: see body_rate
    body_rate: int = 16 << 10  # bytes that each further second is worth
    unread: float = 300.0  # that a reader may take nothing of what lies ready for it
    idle: int = 30  # between two requests of one connection
    leftover: float = 5.0  # that a body may go on after its answer
    connections: int = MAX_CONNECTIONS
    per_address: int = MAX_CONNECTIONS // 2
    handshakes: int = 64  # of TLS, that go on at one time
    send_buffer: int = 32 << 10  # of the system and of the loop, each, per connection; the rest waits and is counted
    bodies: int = 128 << 20  # of all requests together, while they are read and answered

    def body_deadline(self, num_bytes: int) -> float:
        return self.body + num_bytes / self.body_rate


def limits_of_this_process() -> Limits:
    """Well below the number of files that this process may have open."""
    connections = min(MAX_CONNECTIONS, _max_files() // SHARE_OF_FILES)
    return Limits(connections=connections, per_address=max(1, connections // 2))


def _max_files() -> int:
    if sys.platform == "win32":  # sockets are no files there
        return MAX_CONNECTIONS * SHARE_OF_FILES
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS * SHARE_OF_FILES if soft == resource.RLIM_INFINITY else soft
