"""Whatever kills a conversion, the target is the old file or the new one."""

import hashlib
import multiprocessing
import os
import random
import threading
from pathlib import Path

import psutil
import pytest

from app.errors import Cancelled, ConversionError
from app.jobs.convert import convert_checkpoint
from backends.child import Progress
from backends.convert.converter import convert
from tests.convert import checkpoints

NUM_KILLS = 12


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 40 MB, so that a conversion takes long enough to be hit."""
    folder = tmp_path_factory.mktemp("kill") / "checkpoint"
    checkpoints.write(folder, checkpoints.config(num_hidden_layers=10, intermediate_size=1024))
    return folder


def test_killed_at_any_moment_the_target_is_old_or_new(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    convert(lambda _: None, checkpoint, target, "f32")
    new = digest(target)
    target.write_bytes(b"old")
    old = digest(target)
    chance = random.Random(7)
    outcomes = []
    for _ in range(NUM_KILLS):
        moment = chance.random()  # of the conversion's progress
        outcomes.append(_convert_and_kill(checkpoint, target, moment))
        assert digest(target) in (old, new)
        assert {p.name for p in tmp_path.iterdir()} <= {
            "model.gguf",
            "model.gguf.slipstream-part",
            "convert.log",
            "verify.log",
        }
        target.write_bytes(b"old")
    assert outcomes.count("killed") >= NUM_KILLS // 2

    convert(lambda _: None, checkpoint, target, "f32")  # a stale .part is no obstacle
    assert digest(target) == new
    assert not target.with_name("model.gguf.slipstream-part").exists()


def _convert_and_kill(checkpoint: Path, target: Path, moment: float) -> str:
    def kill(progress: Progress) -> None:
        if progress.fraction >= moment:
            for child in multiprocessing.active_children():
                child.kill()

    try:
        convert_checkpoint(checkpoint, target, "f32", logs=target.parent, on_progress=kill)
    except ConversionError as error:
        return "killed" if "killed from outside" in str(error) else str(error)
    return "done"


def test_cancel_ends_the_child_and_keeps_the_old_file(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    target.write_bytes(b"old")
    cancelled = threading.Event()

    def cancel(progress: Progress) -> None:
        if progress.fraction > 0.2:
            cancelled.set()

    with pytest.raises(Cancelled):
        convert_checkpoint(checkpoint, target, "f32", logs=tmp_path, on_progress=cancel, cancelled=cancelled)
    assert target.read_bytes() == b"old"
    assert [p for p in psutil.Process(os.getpid()).children() if "spawn_main" in " ".join(p.cmdline())] == []
