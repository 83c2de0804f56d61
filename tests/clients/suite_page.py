"""A page that tells how another program's test suite went: what failed, what was left out, and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.clients.suites import Outcome

UNEXPLAINED = "**unexplained**"


@dataclass(frozen=True, slots=True)
class SuitePage:
    """left_out: patterns of tests' names, and reasons why these do not count. known: the same of tests that count and
    fail. not_run: files of the suite, and reasons."""

    title: str
    about: str
    left_out: Mapping[str, str]
    known: Mapping[str, str]
    not_run: Mapping[str, str]

    def write(self, path: Path, outcomes: Sequence[Outcome], options: Sequence[tuple[str, str]]) -> None:
        """options: of each server, and the tests that were put to it."""
        left = [each for each in outcomes if _reason(each, self.left_out)]
        counted = [each for each in outcomes if each not in left and not each.is_skipped]
        failed = [each for each in counted if not each.is_passed]
        skipped = sum(each.is_skipped for each in outcomes if each not in left)
        passed = len(counted) - len(failed)
        lines = [
            f"# {self.title}",
            "",
            f"{self.about} On {date.today()}, {passed} of {len(counted)} tests passed "
            f"({passed / max(len(counted), 1):.1%}); {len(left)} are left out, {skipped} skip themselves.",
            "",
            "## Servers",
            "",
            *_table(("options of `slipstream serve`", "tests"), options),
            "## Failed",
            "",
            *_table(("test", "why"), ((each.name, _reason(each, self.known) or UNEXPLAINED) for each in failed)),
            "## Left out",
            "",
            *_table(("tests", "number", "passed all the same", "why"), self._groups(left)),
            "## Files that are not run",
            "",
            *_table(("file", "why"), self.not_run.items()),
        ]
        path.write_text("\n".join(lines), "utf-8")

    def _groups(self, left: Sequence[Outcome]) -> Iterator[tuple[str, ...]]:
        for pattern, why in self.left_out.items():
            group = [each for each in left if re.search(pattern, each.name)]
            names = dict.fromkeys(each.name.partition("[")[0] for each in group)
            yield ", ".join(names), str(len(group)), str(sum(each.is_passed for each in group)), why


def _reason(outcome: Outcome, reasons: Mapping[str, str]) -> str | None:
    return next((why for pattern, why in reasons.items() if re.search(pattern, outcome.name)), None)


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> list[str]:
    told = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return [_line(head), _line(["---"] * len(head)), *map(_line, told), ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
