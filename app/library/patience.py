"""How long a look at the library may read headers. Knows no library."""

import time


class Patience:
    """A context manager around each reading; what happens in between does not count. seconds: None is endless."""

    def __init__(self, seconds: float | None):
        self._left = seconds
        self._began = 0.0

    @property
    def is_left(self) -> bool:
        return self._left is None or self._left > 0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._left is not None:
            self._left -= time.monotonic() - self._began
