"""What other programs use of the processor, by what the system says of all."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest

from backends.llama.threads import seen_neighbours
from backends.neighbours import ApplicationTime, FamilyTime, Neighbours


class Times(NamedTuple):
    """Seconds of all cores, as Linux counts them."""

    user: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    steal: float = 0.0


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """times, seconds and own are what the test says they are."""
    clock = SimpleNamespace(times=Times(), seconds=0.0, own=0.0)
    monkeypatch.setattr(psutil, "cpu_times", lambda: clock.times)
    monkeypatch.setattr("backends.neighbours.time.monotonic", lambda: clock.seconds)
    monkeypatch.setattr("backends.llama.threads.ApplicationTime", lambda: lambda: clock.own)
    return clock


def test_the_host_of_a_virtual_machine_is_no_program_beside_an_engine(system: SimpleNamespace) -> None:
    all_others, beside_engine = Neighbours(lambda: system.own), seen_neighbours()
    system.times, system.seconds, system.own = Times(user=10.0, system=2.0, idle=1.0, steal=7.0), 10.0, 9.0
    assert beside_engine() == pytest.approx(0.3)
    assert all_others() == pytest.approx(1.0)


def test_the_application_is_no_neighbour_of_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Parent:
        def __init__(self, pid: int) -> None:
            assert pid == os.getppid()

        def cpu_times(self) -> SimpleNamespace:
            return SimpleNamespace(user=40.0, system=2.0)

    monkeypatch.setattr(psutil, "Process", Parent)
    monkeypatch.setattr(time, "process_time", lambda: 8.0)
    assert ApplicationTime()() == 50.0


def test_what_strangers_of_the_family_use_is_not_ours_before_and_after_their_end() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"{work}\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        all_time, own_time = FamilyTime(), FamilyTime(lambda: (child.pid,))
        with_it, without = all_time(), own_time()
        child.communicate(b"\n")
    assert with_it - without >= 0.2
    assert all_time() - own_time() >= 0.2


def test_a_process_that_ends_during_the_look_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        """Ends when all have been listed, and leaves its time to its parent."""

        has_ended = False

        def cpu_times(self) -> SimpleNamespace:
            raise psutil.NoSuchProcess(1)

    class Me(Process):
        def children(self, *, recursive: bool) -> list[Process]:
            assert recursive
            found = [] if Process.has_ended else [Process()]
            Process.has_ended = True
            return found

        def cpu_times(self) -> SimpleNamespace:
            return SimpleNamespace(children_user=30.0 if Process.has_ended else 0.0, children_system=0.0)

    monkeypatch.setattr(psutil, "Process", Me)
    monkeypatch.setattr(time, "process_time", lambda: 2.0)
    assert FamilyTime()() == 32.0
