"""Control groups of Linux in which processes are given little memory, where this machine lets us make them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from backends.system_memory import FIRST, SECOND, _own_groups
from tests.patience import until


@contextmanager
def memory_group(num_bytes: int) -> Iterator[Path]:
    """Its list of processes, to which a number is written. Skips the test where there are none."""
    made: Path | None = None
    for parent, names in _own_groups(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")):
        with suppress(OSError):
            (made := parent / f"slipstream-test-{uuid4().hex[:8]}").mkdir()
            (made / names.limit).write_text(str(num_bytes))
            break
        if made and made.is_dir():
            made.rmdir()
            made = None
    if made is None:
        pytest.skip("no control group for memory can be made here")
    assert names in (FIRST, SECOND)
    try:
        yield made / "cgroup.procs"
    finally:
        until(lambda: not (made / "cgroup.procs").read_text())  # the children of those in it leave by themselves
        made.rmdir()
