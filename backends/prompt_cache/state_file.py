"""One saved state as a file that is checked in full before anything is believed.

Layout, little endian: magic, version, lengths; the key (UTF-8: model, build, KV types); the tokens (int32);
the payload; sha256 of all before it. llama.cpp ends the process on a state cut short, and takes one of another
model without a word: so a file whose length, key or sum is not as it should be is no state.
"""

import hashlib
import io
import os
import secrets
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from backends.formats.kept_prompts import MAGIC, SUFFIX, TEMPORARY
from backends.ownership.directory import NEW, READ, Directory
from backends.ownership.lock import try_lock
from backends.ownership.removal import remove
from backends.prompt_cache.state import State

VERSION = 1
HEAD = struct.Struct("<8sIIQQ")  # magic, version, bytes of the key, tokens, bytes of the payload
SUM_BYTES = 32
MAX_KEY_BYTES, MAX_TOKENS = 4096, 1 << 24
CHUNK = 1 << 20  # bytes read and summed at a time


class StateFileError(Exception):
    """Not a state that may be restored."""


class StateFileGone(StateFileError):
    """Somebody removed it."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a file says of itself; unproven until `read_state` has seen the sum."""

    key: str
    tokens: list[int]


def file_name(key: str, tokens: list[int]) -> str:
    """The same state gets the same name, so that it lies in the folder once."""
    return hashlib.sha256(key.encode() + b"\0" + _token_bytes(tokens)).hexdigest()[:40] + SUFFIX


def file_bytes(key: str, state: State) -> int:
    return HEAD.size + len(key.encode()) + 4 * len(state.tokens) + len(state.payload) + SUM_BYTES


def write_state(folder: Directory, key: str, state: State) -> None:
    """Raises OSError. A reader, or a crash, finds the whole file or none."""
    name, tokens = key.encode(), _token_bytes(state.tokens)
    head = HEAD.pack(MAGIC, VERSION, len(name), len(state.tokens), len(state.payload))
    check = hashlib.sha256()
    temporary = f"state-{secrets.token_hex(8)}{TEMPORARY}"
    try:
        with begin_state(folder, temporary) as file:
            for part in (head, name, tokens, state.payload):
                check.update(part)
                file.write(part)
            file.write(check.digest())
            file.flush()
            os.fsync(file.fileno())
        folder.replace(temporary, file_name(key, state.tokens))
    except BaseException:
        remove(folder, temporary)
        raise


def begin_state(folder: Directory, temporary: str) -> BinaryIO:
    """A new file for its owner's eyes alone, locked as long as its writer lives. Raises OSError."""
    file = os.fdopen(folder.open(temporary, NEW), "wb")
    with suppress(OSError):  # a drive that knows no locks
        try_lock(file.fileno())
    return file


def is_left(folder: Directory, temporary: str) -> bool:
    """Whether its writer is dead. Raises OSError where nobody can say, as on a drive that knows no locks."""
    handle = folder.open(temporary, os.O_RDWR)
    try:
        return try_lock(handle)
    finally:
        os.close(handle)


def read_label(folder: Directory, file: str) -> Label:
    """The key and the tokens without the payload. Raises StateFileError."""
    try:
        with os.fdopen(folder.open(file, READ), "rb") as content:
            _, name, tokens, _ = _read_front(content)
            label = Label(name.decode(), _tokens(tokens))
    except (OSError, UnicodeDecodeError) as error:
        raise StateFileError(str(error)) from error
    if file != file_name(label.key, label.tokens):
        raise StateFileError("its name belongs to another state")
    return label


def read_state(folder: Directory, file: str, key: str) -> State:
    """All of it, its sum proven. Raises StateFileError."""
    try:
        with os.fdopen(folder.open(file, READ), "rb") as content:
            *front, payload_bytes = _read_front(content)
            check = hashlib.sha256(b"".join(front))
            payload = _read_payload(content, payload_bytes, check)
            if check.digest() != content.read(SUM_BYTES):
                raise StateFileError("its sum is wrong")
    except FileNotFoundError as error:
        raise StateFileGone("it was removed") from error
    except (OSError, MemoryError) as error:
        raise StateFileError(str(error)) from error
    _, name, tokens = front
    if name != key.encode():
        raise StateFileError("it belongs to another model, build, KV type or adapter")
    return State(_tokens(tokens), payload)


def _read_payload(file: io.BufferedReader, num_bytes: int, check: "hashlib._Hash") -> memoryview:
    """Nothing in here holds the interpreter for long: another thread steps meanwhile."""
    payload = np.empty(num_bytes, np.uint8).data  # a bytearray would be filled with zeros first
    for begin in range(0, num_bytes, CHUNK):
        chunk = payload[begin : begin + CHUNK]
        if file.readinto(chunk) != len(chunk):
            raise StateFileError("it ends too early")
        check.update(chunk)
    return payload


def _read_front(file: BinaryIO) -> tuple[bytes, bytes, bytes, int]:
    """Head, key and tokens, and the payload's length: no length is believed that the file's own does not confirm."""
    head = file.read(HEAD.size)
    if len(head) != HEAD.size:
        raise StateFileError("it is no state file")
    magic, version, key_bytes, num_tokens, payload_bytes = HEAD.unpack(head)
    if magic != MAGIC or version != VERSION:
        raise StateFileError("it is no state file of this version")
    if key_bytes > MAX_KEY_BYTES or not 0 < num_tokens <= MAX_TOKENS or payload_bytes == 0:
        raise StateFileError("its lengths are out of range")
    whole = HEAD.size + key_bytes + 4 * num_tokens + payload_bytes + SUM_BYTES
    if os.fstat(file.fileno()).st_size != whole:
        raise StateFileError("it is shorter or longer than it says")
    name, tokens = file.read(key_bytes), file.read(4 * num_tokens)
    if len(name) != key_bytes or len(tokens) != 4 * num_tokens:
        raise StateFileError("it ends too early")
    return head, name, tokens, payload_bytes


def _token_bytes(tokens: list[int]) -> bytes:
    return np.array(tokens, "<i4").tobytes()


def _tokens(data: bytes) -> list[int]:
    tokens: list[int] = np.frombuffer(data, "<i4").tolist()
    return tokens
