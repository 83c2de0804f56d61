"""What the slots of a context hold, as llama.cpp writes it. Knows bytes, not what they mean."""

import ctypes
from typing import Any

from backends.llama import stream_state
from backends.llama.binding import lib
from backends.llama.native import NativeError
from backends.prompt_cache.state import Payload

WHOLE = -1  # in place of a slot: the state of them all
WHOLE_STATE = lib.LLAMA_STATE_SEQ_FLAGS_NONE
RECURRENT_PART = lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY


class States:
    """Of one context, which is empty when this is made."""

    def __init__(self, pointer: Any, num_slots: int, is_unified: bool):
        self._pointer, self._num_slots, self._is_unified = pointer, num_slots, is_unified
        # whether a slot's state goes into any number of streams, see `stream_state`
        self.are_portable = not is_unified and self._num_bytes(0) == stream_state.empty_bytes(num_slots)

    def save(self, slot: int) -> Payload:
        if not self.are_portable:
            return self._get(slot)
        payload = self._get(slot, num_more=stream_state.TAIL)
        return stream_state.portable(payload, len(payload) - stream_state.TAIL, slot, self._num_slots)

    def restore(self, slot: int, payload: Payload) -> bool:
        """False when no cells are free, or it does not fit this context."""
        if not self.are_portable:
            return self._set(slot, payload) == len(payload)
        payload = stream_state.for_streams(payload, self._num_slots)
        return self._set(slot, payload) == stream_state.read_bytes(payload, self._num_slots)

    def checkpoint(self, slot: int) -> bytearray:
        """The recurrent state alone."""
        return self._get(slot, flags=RECURRENT_PART)

    def rewind(self, slot: int, checkpoint: bytearray) -> None:
        if self._set(slot, checkpoint, RECURRENT_PART) != len(checkpoint):
            raise NativeError(f"llama_state_seq_set_data refused a checkpoint of slot {slot}")

    def take(self, slots: list[int]) -> dict[int, Payload]:
        """Of all these, which are all that hold anything; in one pool as one, which keeps shared cells shared and what
        a window has passed."""
        if not slots or not self._is_unified:
            return {slot: self.save(slot) for slot in slots}
        size: int = lib.llama_state_get_size(self._pointer)
        payload = bytearray(size)
        written = lib.llama_state_get_data(self._pointer, _as_array(payload), size)
        if written != size:
            raise NativeError(f"llama_state_get_data wrote {written} of {size} bytes")
        return {WHOLE: payload}

    def put_back(self, states: dict[int, Payload]) -> None:
        """What `take` took, into a context that is empty."""
        for slot, payload in states.items():
            if slot != WHOLE:
                is_read = self.restore(slot, payload)
            else:
                is_read = lib.llama_state_set_data(self._pointer, _as_array(payload), len(payload)) == len(payload)
            if not is_read:
                raise NativeError("what the slots held could not be put back")

    def _num_bytes(self, slot: int, flags: int = WHOLE_STATE) -> int:
        return int(lib.llama_state_seq_get_size_ext(self._pointer, slot, flags))

    def _get(self, slot: int, num_more: int = 0, flags: int = WHOLE_STATE) -> bytearray:
        """num_more: bytes behind it that are left empty."""
        size = self._num_bytes(slot, flags)
        payload = bytearray(size + num_more)
        written = lib.llama_state_seq_get_data_ext(self._pointer, _as_array(payload), size, slot, flags)
        if written != size:
            raise NativeError(f"llama_state_seq_get_data wrote {written} of {size} bytes")
        return payload

    def _set(self, slot: int, payload: Payload, flags: int = WHOLE_STATE) -> int:
        """How many bytes were read."""
        return int(lib.llama_state_seq_set_data_ext(self._pointer, _as_array(payload), len(payload), slot, flags))


def _as_array(payload: Payload) -> Any:
    """Its own memory, not a copy."""
    return (ctypes.c_uint8 * len(payload)).from_buffer(payload)
