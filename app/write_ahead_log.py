"""SQLite's log of what is not in the database yet: whether some of it would be passed over, and then written over.

The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
import sys
from array import array
from enum import Enum
from pathlib import Path

from backends.regular_file import TooLargeError, read_regular

HEADER, FRAME = struct.Struct(">8I"), struct.Struct(">6I")
MAGIC_LITTLE, MAGIC_BIG = 0x377F0682, 0x377F0683
VERSION = 3007000
MAX_BYTES = 16 << 20  # as a rule 4 MB; more takes too long to add up at a start
PAGES = {1 << power for power in range(9, 17)}
MASK = 0xFFFFFFFF


class LogState(Enum):
    SOUND = "sound"  # or none, or too large to tell
    CUT = "cut"  # what comes after a damaged place is lost to SQLite
    STRANGE = "strange"  # SQLite would not begin to read it


def look_at_log(path: Path) -> LogState:
    """Raises OSError for one that cannot be read."""
    try:
        content = read_regular(path, MAX_BYTES)
    except (FileNotFoundError, TooLargeError):
        return LogState.SOUND
    if len(content) <= HEADER.size:  # no frame in it
        return LogState.SOUND
    magic, version, page_bytes, _, *salts, first, second = HEADER.unpack_from(content)
    is_little = magic == MAGIC_LITTLE
    sums = _add(content[:24], (0, 0), is_little)
    if magic not in (MAGIC_LITTLE, MAGIC_BIG) or (version, sums) != (VERSION, (first, second)):
        return LogState.STRANGE
    if page_bytes not in PAGES:
        return LogState.STRANGE
    return _look_at_frames(content, page_bytes, (salts[0], salts[1]), sums, is_little)


def _look_at_frames(
    content: bytes, page_bytes: int, salts: tuple[int, int], sums: tuple[int, int], is_little: bool
) -> LogState:
    """Frames after the newest are of an earlier round, and have other salts: both of them."""
    is_valid = True
    for start in range(HEADER.size, len(content) - FRAME.size - page_bytes + 1, FRAME.size + page_bytes):
        _, _, *own, first, second = FRAME.unpack_from(content, start)
        is_of_this_round = own[0] == salts[0] or own[1] == salts[1]
        if is_valid and tuple(own) == salts:
            sums = _add(content[start : start + 8], sums, is_little)
            page = start + FRAME.size
            sums = _add(content[page : page + page_bytes], sums, is_little)
            is_valid = sums == (first, second)
        else:
            is_valid = False
        if is_of_this_round and not is_valid:
            return LogState.CUT
    return LogState.SOUND


def _add(content: bytes, sums: tuple[int, int], is_little: bool) -> tuple[int, int]:
    words = array("I", content)
    if is_little != (sys.byteorder == "little"):
        words.byteswap()
    first, second = sums
    pairs = iter(words)
    for left, right in zip(pairs, pairs, strict=True):
        first = (first + left + second) & MASK
        second = (second + right + first) & MASK
    return first, second
