"""How far a prompt has been read."""

from dataclasses import dataclass

from backends.protocol.packing import quickly_packed


@quickly_packed
@dataclass(frozen=True, slots=True)
class Progress:
    """Of a request that `tells_progress`: when it has been accepted (num_read is None as long as it waits), when its
    reading begins, and after each piece of it. Counts in tokens; num_read includes num_cached, which were known."""

    uid: int
    num_prompt: int
    num_cached: int = 0
    num_read: int | None = None
    milliseconds: float = 0.0  # since its reading began
