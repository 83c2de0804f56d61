"""How the threads of the installed build wait for each other: in processes of their own, whose processor time tells."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from backends.child import SPINS
from backends.llama import OURS, WAITING

MANY, FEW = 6_000_000, 100_000
SPENT = """
import json, os, time
from contextlib import suppress
from pathlib import Path
from backends.llama.waiting import _run_nothing, waiting
runtime = waiting()
def works():
    for stat in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):  # it has just ended
            if stat.parent.name != str(os.getpid()) and stat.read_text().rpartition(") ")[2][0] == "R":
                return True
    return False
def spent():
    begin = time.process_time()
    _run_nothing(runtime._parallel, 2)
    time.sleep(0.3)
    while works():  # a busy machine lets them spin later; in vain it is until the test's end
        time.sleep(0.01)
    return time.process_time() - begin
spinning = spent()
runtime.sleep()
asleep = spent()
runtime.spin()  # their thread is gone for Python sooner than for the runtime
print(json.dumps([spinning, asleep, max(spent() for _ in range(4))]))
"""
CHOICE = """
import json, os
from backends.llama.waiting import waiting
policy = os.environ.get("OMP_WAIT_POLICY")
print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), policy, waiting().problem, waiting().turn_seconds()]))
"""


def run(script: str, **variables: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if name not in (*WAITING, OURS, SPINS)}
    result = subprocess.run(
        [sys.executable, "-c", script], env={**environment, **variables}, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_threads_sleep_at_once_when_they_are_told_and_spin_again() -> None:
    spinning, asleep, again = run(SPENT, **{SPINS: str(MANY)})
    assert asleep < spinning / 4
    assert asleep < again / 4


def test_turns_are_those_that_were_measured_for_this_machine() -> None:
    spins, policy, problem, turn = run(CHOICE, **{SPINS: str(FEW)})
    assert (spins, policy, problem) == (str(FEW), "passive", "")
    assert 0 < turn < 1e-6


def test_without_a_measurement_they_are_far_fewer_than_the_runtimes_own() -> None:
    spins, _, problem, _ = run(CHOICE)
    assert 500 <= int(spins) <= 30_000
    assert problem == ""


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "77"), ("OMP_WAIT_POLICY", "active")])
def test_a_persons_own_variable_is_left_alone(name: str, value: str) -> None:
    spins, policy, problem, turn = run(CHOICE, **{SPINS: str(FEW), name: value})
    assert spins == ("77" if name == "GOMP_SPINCOUNT" else None)
    assert policy == ("active" if name == "OMP_WAIT_POLICY" else None)
    assert name in problem
    assert turn is None


def test_waking_a_thread_takes_longer_than_a_turn_and_not_for_ever() -> None:
    turn, wake = run(
        "import json\nfrom backends.llama.waiting import waiting\n"
        "runtime = waiting()\nprint(json.dumps([runtime.turn_seconds(), runtime.wake_seconds()]))",
        **{SPINS: str(FEW)},
    )
    assert turn < wake < 60
