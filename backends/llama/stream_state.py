"""A slot's state in streams, in a form that any number of streams takes.

llama.cpp writes a sequence of a plain cache as: magic, sequence, number of streams, then of every stream the cells of
this sequence: of all but its own a count of none. So what stands before and behind its own is zeros, and the number
alone says how many there must be. Here none stand before, and behind as many as there could be streams; llama.cpp reads
as far as it needs.
"""

import struct

from backends.kv_layout import MAX_SLOTS
from backends.prompt_cache.state import Payload

HEAD = struct.Struct("<IiI")  # magic, sequence, number of streams
COUNT = 4  # bytes of a stream without cells
TAIL = COUNT * (MAX_SLOTS - 1)


def empty_bytes(num_streams: int) -> int:
    """Of a sequence without cells in a plain cache; caches of several parts write more."""
    return HEAD.size + COUNT * num_streams


def portable(buffer: bytearray, num_bytes: int, stream: int, num_streams: int) -> memoryview:
    """What llama.cpp wrote into the first `num_bytes` of a buffer with `TAIL` bytes more: the same memory."""
    begin = COUNT * stream
    HEAD.pack_into(buffer, begin, *HEAD.unpack_from(buffer))
    end = num_bytes - COUNT * (num_streams - 1 - stream)
    return memoryview(buffer)[begin : end + TAIL]


def for_streams(payload: Payload, num_streams: int) -> Payload:
    """The payload for so many streams: itself, or a copy, as somebody may be writing it to disk."""
    magic, sequence, number = HEAD.unpack_from(payload)
    if number == num_streams:
        return payload
    copy = bytearray(payload)
    HEAD.pack_into(copy, 0, magic, sequence, num_streams)
    return copy


def read_bytes(payload: Payload, num_streams: int) -> int:
    """How much of it llama.cpp reads."""
    return len(payload) - TAIL + COUNT * (num_streams - 1)
