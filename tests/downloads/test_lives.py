"""A sample of `python -m tests.bench.fuzz_downloads`."""

import random
from collections import Counter
from pathlib import Path

from tests.downloads.lives import live
from tests.hub.double import HubDouble

NUM_FILES = 12


def test_whatever_happens_the_final_name_bears_the_right_bytes(hub_double: HubDouble, tmp_path: Path) -> None:
    ends: Counter[str] = Counter()
    chance = random.Random(4)
    for number in range(NUM_FILES):
        live(hub_double, tmp_path / str(number), chance, ends)
    assert len(ends) > 2  # it did go wrong in several ways
