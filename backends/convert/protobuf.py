"""Walks one message of protocol buffers: its fields as numbers and bytes. Knows no schema and trusts no length."""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


MAX_FIELDS = 8  # of a small message in another one


def fields(message: bytes | memoryview, max_fields: int = MAX_FIELDS) -> Iterator[tuple[int, int | float | memoryview]]:
    """(number, value): an int, a float for 32 bits, a view of the message for bytes. Raises ValueError."""
    view = memoryview(message)
    position, end = 0, len(view)
    while position < end:
        if (max_fields := max_fields - 1) < 0:
            raise ValueError("a message of too many fields")
        key, position = _varint(view, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(view, position)
            yield key >> 3, value
        elif kind == BYTES:
            length, position = _varint(view, position)
            if length > end - position:
                raise ValueError("a field is longer than the message")
            yield key >> 3, view[position : position + length]
            position += length
        elif kind in (FIXED32, FIXED64):
            width = 4 if kind == FIXED32 else 8
            if width > end - position:
                raise ValueError("a number is longer than the message")
            yield key >> 3, struct.unpack_from("<f" if width == 4 else "<d", view, position)[0]
            position += width
        else:
            raise ValueError("a field of an unknown kind")


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(view) and shift < 70:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number does not end")
