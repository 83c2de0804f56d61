"""What models may have, and what one is thought to take before a plan says it exactly."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from app.inference.snapshot import EngineSnapshot, EngineState
from app.residency.machine import EstimatedCosts, MachineMemory, SeenDevices
from app.residency.room import GPU, RAM
from backends.protocol import Cells, DeviceMemory, EngineOptions, Stats
from tests.library.foreign import gguf

CARD = DeviceMemory("CUDA0", 1 << 30, 24 << 30)
STATS = Stats(1, 0, Cells(0, 0, 0), 3_000_000_000, (), 0, 0, 0, 0, 0, 0, 0, 0)


def test_models_may_have_most_of_what_is_free_and_what_they_have_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000))
    assert MachineMemory(lambda: None, tuple).limits({RAM: 5_000}) == {RAM: 13_500}
    assert MachineMemory(lambda: 7_000, lambda: (CARD,)).limits({}) == {RAM: 7_000, GPU: round(0.9 * (24 << 30))}


def test_a_model_is_kept_its_file_and_its_draft_and_buffers_where_it_will_lie(tmp_path: Path) -> None:
    model, draft = gguf(tmp_path / "model.gguf"), gguf(tmp_path / "draft.gguf")
    alone = EstimatedCosts(tuple).planned(model, EngineOptions())
    assert alone[RAM] > model.stat().st_size
    with_draft = EstimatedCosts(tuple).planned(model, EngineOptions(draft_model=draft))
    assert with_draft[RAM] - alone[RAM] == draft.stat().st_size
    on_gpu = EstimatedCosts(lambda: (CARD,)).planned(model, EngineOptions())
    assert on_gpu[GPU] > model.stat().st_size
    assert GPU not in EstimatedCosts(lambda: (CARD,)).planned(model, EngineOptions(gpu_layers=0))
    assert GPU not in EstimatedCosts(lambda: (replace(CARD, total=1 << 29),)).planned(model, EngineOptions())


def test_a_file_that_cannot_be_read_is_left_to_its_load(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    for name in ("page.gguf", "none.gguf"):
        assert EstimatedCosts(tuple).planned(tmp_path / name, EngineOptions()) == {}


def test_what_a_loaded_model_takes_is_measured() -> None:
    ready: Any = SimpleNamespace(gpu_layers=0, num_layers=4, model_bytes=2_000_000_000)
    snapshot = EngineSnapshot("m", Path("m"), EngineState.READY, 1.0, ready, STATS, None, None)
    costs, devices = EstimatedCosts(tuple), SeenDevices()
    assert costs.taken(snapshot) == {RAM: 3_000_000_000}
    assert costs.taken(replace(snapshot, state=EngineState.CLOSED)) == {}
    devices.hear(snapshot)
    assert devices() == ()
    ready.gpu_layers = 4
    on_gpu = replace(snapshot, stats=replace(STATS, devices=(CARD,)))
    devices.hear(on_gpu)
    devices.hear(replace(snapshot, stats=None))
    assert devices() == (CARD,)
    assert costs.taken(on_gpu) == {GPU: 2_000_000_000, RAM: 1_000_000_000}
