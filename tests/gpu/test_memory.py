"""What a device has left, while others use it and after they have gone."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import Cancelled
from app.jobs.child import run_in_child
from tests.gpu.children import Seen
from tests.patience import PATIENCE, until

pytestmark = pytest.mark.gpu

NUM_CELLS = 1 << 16
MIB = 1 << 20
UNTOLD = "this device does not tell how much of it others use"


def test_unloading_gives_the_memory_back(in_child: Callable[..., Seen], tiny: Path) -> None:
    seen = in_child("load_and_unload", path=tiny, num_cells=NUM_CELLS)
    if seen.loaded == seen.before:
        pytest.skip("this device does not tell how much of it is free")
    assert seen.before - seen.loaded > 16 * MIB
    assert seen.after >= seen.before - MIB, "what leaks would have added up over three loads"


def test_what_another_process_holds_is_not_free_and_comes_back_with_its_end(
    in_child: Callable[..., Seen], tiny: Path, tmp_path: Path
) -> None:
    before = in_child("look")
    holds, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with pytest.raises(Cancelled):
            run_in_child(
                "tests.gpu.children:hold",
                log_path=tmp_path / "hold.log",
                on_progress=lambda _: holds.set(),
                cancelled=ended,
                path=tiny,
                num_cells=NUM_CELLS,
            )

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holds.wait(PATIENCE)
        during = in_child("look")
    finally:
        ended.set()
        thread.join()
    if during.before == before.before:
        pytest.skip(UNTOLD)
    assert before.before - during.before > 16 * MIB
    until(lambda: in_child("look").before > during.before)
