"""Killed in every step, an install goes on as if nothing had been. In full: `python -m tests.bench.crash_matrix`."""

import itertools
import random
import signal
from pathlib import Path

import pytest

from tests.hub.double import HubDouble
from tests.jobs.crash_matrix import kill_and_finish, moments, undisturbed
from tests.jobs.installing import checkpoint_repo

MIN_KILLS = 3

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")


def test_killed_in_every_step_it_ends_with_the_same_file_and_no_other(tmp_path: Path, hub_double: HubDouble) -> None:
    hub_double.add(checkpoint_repo(tmp_path / "tiny"))
    usual = undisturbed(tmp_path / "undisturbed", hub_double)
    plan, num_kills = moments(random.Random(4)), 0
    for number in itertools.count():
        num_kills += len(kill_and_finish(tmp_path / f"killed ü {number}", hub_double, plan[num_kills:], usual))
        if num_kills >= MIN_KILLS:
            break
        usual = usual.in_half_the_time()  # the others came too late
