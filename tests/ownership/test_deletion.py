"""The attacks on everything that deletes, as `python -m tests.bench.attacks deletion` counts them, with fewer kills."""

import pytest

from tests.bench.attacks import deletion
from tests.bench.attacks.case import Case

SLOW = ("evaluations: measured", "references beside ours", "again and again")  # the bench alone
CASES = [case for case in deletion.cases() if not case.name.startswith("kill ") and not case.name.endswith(SLOW)]


@pytest.mark.parametrize("case", [*CASES, *deletion.kills(4, seed=2)], ids=lambda case: case.name)
def test_only_what_bears_our_mark_is_deleted(case: Case) -> None:
    assert case.attack() is None
