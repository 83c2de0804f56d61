"""How much memory there is where the system gives a group of processes less than the machine has."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from backends.system_memory import SystemMemory, num_killed_for_memory, system_memory
from tests.residency.groups import memory_group

MIB = 1 << 20
SEEN = """
import sys

from backends.system_memory import system_memory

sys.stdin.readline()
print(system_memory().total)
"""


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(available=6000 * MIB, total=8000 * MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def group(folder: Path, **files: str | int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def asked(tmp_path: Path, lines: str) -> SystemMemory:
    (tmp_path / "own").write_text(lines)
    return system_memory(tmp_path / "groups", tmp_path / "own")


def test_without_groups_it_is_the_machines(tmp_path: Path) -> None:
    whole = SystemMemory(6000 * MIB, 8000 * MIB)
    assert system_memory(tmp_path, tmp_path / "none") == whole
    assert asked(tmp_path, "0::/\n") == whole
    group(tmp_path / "groups" / "app", memory__max="max", memory__current=1, memory__stat="active_file 0")
    assert asked(tmp_path, "0::/app\n") == whole


def test_a_container_has_its_limit_without_what_it_holds(tmp_path: Path) -> None:
    stat = f"anon {300 * MIB}\nactive_file {50 * MIB}\ninactive_file {150 * MIB}"
    limits = {"memory__max": 1000 * MIB, "memory__current": 600 * MIB, "memory__stat": stat}
    group(tmp_path / "groups" / "pod", **limits)  # type: ignore[arg-type]
    (tmp_path / "groups" / "pod" / "app").mkdir()
    found = SystemMemory(600 * MIB, 1000 * MIB)
    assert asked(tmp_path, "0::/pod/app\n") == found, "pages of files can be dropped"


def test_the_first_version_is_understood_too_and_the_tightest_group_counts(tmp_path: Path) -> None:
    stat = "total_active_file 0\ntotal_inactive_file 0"
    for name, limit, used in (("", 2**63 - 4096, 0), ("a", 500 * MIB, 200 * MIB), ("a/b", 900 * MIB, 100 * MIB)):
        files = {"memory__limit_in_bytes": limit, "memory__usage_in_bytes": used, "memory__stat": stat}
        group(tmp_path / "groups" / "memory" / name, **files)  # type: ignore[arg-type]
    assert asked(tmp_path, "5:cpu:/x\n4:memory:/a/b\n0::/\n") == SystemMemory(300 * MIB, 500 * MIB)


@pytest.mark.parametrize("lines", ["", "nonsense", "0::/../../..\n", "4:memory:\n", "\x00"])
def test_odd_files_are_as_if_there_were_none(tmp_path: Path, lines: str) -> None:
    group(tmp_path / "groups", memory__max="lots", memory__current="", memory__stat="x")
    assert asked(tmp_path, lines) == SystemMemory(6000 * MIB, 8000 * MIB)


def test_a_real_group_is_seen_by_its_process() -> None:
    with (
        memory_group(400 * MIB) as processes,
        subprocess.Popen([sys.executable, "-c", SEEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
    ):
        processes.write_text(str(child.pid))
        told, _ = child.communicate(b"\n")
        assert int(told) == 400 * MIB


@pytest.mark.parametrize(("lines", "number"), [("pgfault 3\noom_kill 12\n", 12), ("oom_kill many\n", None), ("", None)])
def test_how_many_processes_memory_has_run_out_for_is_told_by_linux(
    tmp_path: Path, lines: str, number: int | None
) -> None:
    (tmp_path / "vmstat").write_text(lines)
    assert num_killed_for_memory(tmp_path / "vmstat") == number
    assert num_killed_for_memory(tmp_path / "none") is None
