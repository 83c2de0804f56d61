"""Plans on this machine: what is asked, what is confirmed, what is remembered, and what a load is told."""

import re
from pathlib import Path

import pytest

from app.errors import ModelFileError
from app.inference import planning
from app.inference.planning import Planning
from app.planner.machine import RAM, Gpu, Machine
from backends.measurement import Buffers
from backends.protocol import DraftMode, EngineOptions, Keep, KVLayout
from tests.planner.shapes import all_shapes

GIB = 1 << 30
OPTIONS = EngineOptions(context=4096, draft=DraftMode.OFF)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


def write(name: str, folder: Path) -> Path:
    return next(shape for shape in all_shapes() if shape.name == name).write(folder)


def planner(folder: Path) -> Planning:
    return Planning(folder / "cache", folder / "logs", lambda: "a build")


def with_gpu(ram: int, vram: int) -> Machine:
    return Machine(ram, ram, (Gpu("CUDA0", vram, vram),))


def test_a_plan_is_confirmed_by_llama_cpp_itself(shapes: Path, tmp_path: Path) -> None:
    file, asked = write("lfm2-1.2b", shapes), planner(tmp_path)
    found = asked.confirm(file, asked.plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB)))
    reckoned = asked.plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB)).rooms[0].take.compute
    assert reckoned == pytest.approx(found.compute[RAM], rel=0.001)
    again = planner(tmp_path).plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB))
    assert again.is_corrected, "another start remembers it"


def test_what_is_remembered_is_of_that_build(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked = write("llama-3.2-1b", shapes), planner(tmp_path)
    plan = asked.plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB))
    told = Buffers({RAM: round(1.2 * plan.rooms[0].take.compute)}, 0, 0, 0)
    monkeypatch.setattr(Planning, "_child", lambda *_, **__: told)
    asked.confirm(file, plan)
    assert asked.plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB)).is_corrected
    other = Planning(tmp_path / "cache", tmp_path / "logs", lambda: "another build")
    assert not other.plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB)).is_corrected


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"version": 1, "models": {"x": {"RAM": 1e9}}}', b"\x00", b"{" * 9000]
)
def test_an_odd_file_of_differences_is_as_if_there_were_none(shapes: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "plans.json").write_bytes(content)
    file = write("llama-3.2-1b", shapes)
    assert not planner(tmp_path).plan(file, OPTIONS, Machine(32 * GIB, 32 * GIB)).is_corrected


def test_a_load_is_told_where_its_parts_go(shapes: Path, tmp_path: Path) -> None:
    file, asked = write("qwen3-30b-a3b", shapes), planner(tmp_path)
    found = asked.plan(file, OPTIONS, with_gpu(64 * GIB, 12 * GIB))
    options, notes = asked.prepared(file, OPTIONS, found)
    assert options.placement
    assert (options.placement.gpu_layers, options.placement.keeps) == (49, Keep.EXPERTS)
    assert options.placement.note
    assert f"with the experts of {options.placement.kept} of 48 layers in RAM" in options.placement.note
    assert options.kv_layout is found.layout.kind, "what was planned for is what is made"
    assert notes == ()


def test_a_number_of_layers_of_a_persons_own_is_left_alone(shapes: Path, tmp_path: Path) -> None:
    wanted = EngineOptions(context=4096, gpu_layers=7, kv_layout=KVLayout.UNIFIED)
    file, asked = write("qwen3-30b-a3b", shapes), planner(tmp_path)
    found = asked.plan(file, wanted, with_gpu(64 * GIB, 12 * GIB))
    assert asked.prepared(file, wanted, found) == (wanted, ())


def test_what_no_memory_holds_is_loaded_only_when_that_is_wanted(shapes: Path, tmp_path: Path) -> None:
    file, asked = write("llama-3.3-70b", shapes), planner(tmp_path)
    found = asked.plan(file, OPTIONS, with_gpu(16 * GIB, 8 * GIB))
    refusal = asked.refusal(file, OPTIONS, found)
    assert refusal
    assert re.search(r"tokens/s from the disk: this machine has .* of .* GB.*--from-disk", refusal)
    wanted = EngineOptions(context=4096, from_disk=True)
    assert asked.refusal(file, wanted, found) is None
    options, notes = asked.prepared(file, wanted, found)
    assert options.placement is None
    assert "from the disk: this machine has" in notes[0]


def test_a_file_that_is_no_model_has_no_plan(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError):
        planner(tmp_path).plan(tmp_path / "m.gguf", OPTIONS, Machine(32 * GIB, 32 * GIB))


def test_memory_that_is_given_back_before_counts(shapes: Path, tmp_path: Path) -> None:
    file, machine = write("llama-3.1-8b", shapes), Machine(32 * GIB, 32 * GIB, (Gpu("CUDA0", 4 * GIB, 24 * GIB),))
    asked = planner(tmp_path)
    assert asked.plan(file, OPTIONS, machine).spread.kept
    assert asked.plan(file, OPTIONS, machine, freed={"CUDA0": 12 * GIB}).verdict.place == "gpu"


def test_devices_are_asked_in_a_child(tmp_path: Path) -> None:
    found = planner(tmp_path)._child(planning.DEVICES)
    assert next(device for device in found if not device.is_gpu).total > GIB
