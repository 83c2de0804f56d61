"""The runner of a model that says nothing: it makes vectors, and no answer is ever let in."""

from typing import Any

from backends.engine.runner import Size


class SilentRunner:
    """A KV cache in which nothing lies: every prompt is refused when it is read, so no sequence gets here."""

    size = limit = Size(256, 1)
    cell_step = 256
    max_batch_tokens = max_scored = 1
    shares_cells = True
    max_draft = 0
    can_cut_saved = can_shift = False

    def _never(self, *_args: Any, **_named: Any) -> Any:
        raise AssertionError("an answer is wanted of a model that says nothing")

    resize = copy = truncate = shortest = checkpoint = rewind = roll = save = restore = run = _never

    def close(self) -> None: ...
