"""Who waits for a place, in which order: by priority, then by arrival, and each client's requests one after the other.

A client that sends many requests has one of them in the line; the next joins its end when that one has left. So they
take turns with those of others, and nobody waits for ever.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import count

from backends.engine.sequence import Sequence

Rank = tuple[int, int]
Client = tuple[int, int]  # with a priority: what is urgent does not stand behind what is not


class Line:
    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Sequence]] = []
        self._numbers = count()
        self._number: dict[Sequence, int] = {}  # until `forget`: who comes back stands where it stood
        self._heads: dict[Client, Sequence] = {}  # the one that stands in the line for all of its client
        self._behind: dict[Client, deque[Sequence]] = {}  # and those that join it later

    def __bool__(self) -> bool:
        return bool(self._heap)

    def __len__(self) -> int:
        return len(self._heap) + sum(map(len, self._behind.values()))

    def __iter__(self) -> Iterator[Sequence]:
        """In no order."""
        yield from self.standing()
        for seqs in self._behind.values():
            yield from seqs

    def standing(self) -> Iterator[Sequence]:
        """Without those that have not joined yet."""
        return (seq for _, _, seq in self._heap)

    @property
    def first(self) -> Sequence:
        return self._heap[0][2]

    def rank(self, seq: Sequence) -> Rank:
        """Lower goes first. Of one that stands in the line or has stood there."""
        return seq.priority, self._number[seq]

    def add(self, seq: Sequence) -> None:
        """A new one."""
        client = _client(seq)
        if client is None:
            self._join(seq)
        elif client in self._heads:
            self._behind.setdefault(client, deque()).append(seq)
        else:
            self._heads[client] = seq
            self._join(seq)

    def put_back(self, seq: Sequence) -> None:
        """One that has left, to where it stood."""
        heapq.heappush(self._heap, (*self.rank(seq), seq))

    def put_last(self, seq: Sequence) -> None:
        """One that has left, behind all that wait now."""
        self._join(seq)

    def pop(self) -> Sequence:
        """The first one leaves, and its client's next one joins."""
        seq = heapq.heappop(self._heap)[2]
        self._follow(seq)
        return seq

    def remove(self, seq: Sequence) -> bool:
        """It waits no longer. False when it does not wait."""
        client = _client(seq)
        behind = self._behind.get(client) if client else None
        if behind and seq in behind:
            behind.remove(seq)
            return True
        heap = [entry for entry in self._heap if entry[2] is not seq]
        if len(heap) == len(self._heap):
            return False
        self._heap = heap
        heapq.heapify(self._heap)
        self._follow(seq)
        return True

    def forget(self, seq: Sequence) -> None:
        """It has ended."""
        self._number.pop(seq, None)

    def check_integrity(self) -> None:
        standing = set(self.standing())
        assert set(self._heads.values()) <= standing, "a client waits for one that does not"
        assert {client for client, seqs in self._behind.items() if seqs} <= set(self._heads)

    def _join(self, seq: Sequence) -> None:
        self._number[seq] = next(self._numbers)
        self.put_back(seq)

    def _follow(self, seq: Sequence) -> None:
        client = _client(seq)
        if client is None or self._heads.get(client) is not seq:
            return
        if behind := self._behind.get(client):
            self._heads[client] = behind.popleft()
            self._join(self._heads[client])
        else:
            del self._heads[client]
            self._behind.pop(client, None)


def _client(seq: Sequence) -> Client | None:
    return None if seq.client is None else (seq.client, seq.priority)
