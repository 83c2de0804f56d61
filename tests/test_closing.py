"""Parts that hang or fail at the end keep nothing else open, and the end comes in time."""

import logging
import subprocess
import sys
import threading

import pytest

from app.closing import close_all
from tests.e2e.serving import ROOT
from tests.patience import PATIENCE

STOPPED_CHILD = """
import multiprocessing, os, signal, time
from app.closing import kill_children_at_exit

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

if __name__ == "__main__":
    kill_children_at_exit()
    child = multiprocessing.get_context("spawn").Process(target=stop, daemon=True)
    child.start()
    while open(f"/proc/{child.pid}/stat").read().split()[2] != "T":
        time.sleep(0.01)
"""


def test_what_hangs_is_left_behind_and_the_others_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    hang, closed = threading.Event(), threading.Event()

    def fail() -> None:
        raise ValueError("a defect")

    with caplog.at_level(logging.WARNING):
        close_all({"the disk": hang.wait, "the defect": fail, "the rest": closed.set}, 0.5)  # type: ignore[dict-item]
    assert closed.is_set()
    assert "the disk did not end" in caplog.text
    assert "the defect could not be closed" in caplog.text
    hang.set()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_stopped_child_does_not_keep_the_program(tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("script") / "stopped_child.py"
    script.write_text(STOPPED_CHILD)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, timeout=PATIENCE, capture_output=True
    )
    assert done.returncode == 0, done.stderr
