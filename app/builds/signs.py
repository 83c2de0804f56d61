"""What lines of pip, cmake, ninja and make say of how far they are. Standard library only, as the set-up needs it."""

import re

SIGNS = (
    (re.compile(r"^\s*\[(\d+)/(\d+)\] "), "{0} of {1} files"),
    (re.compile(r"^\s*\[ *(\d+)%\] "), "{0} %"),
    (re.compile(r"^\s*Downloading (?:\S*/)?([A-Za-z0-9_.]+?)-\d\S* \(([\d.]+ [kMG]B)\)"), "downloading {0}, {1}"),
    (re.compile(r"^\s*Collecting ([A-Za-z0-9_.-]+)"), "looking for {0}"),
    (re.compile(r"^Installing collected packages: (.*)"), "installing"),
    (re.compile(r"Retrying \(Retry\(total="), "the package index does not answer, trying again"),
)
COUNTED = re.compile(r"^\s*\[(\d{1,6})/(\d{1,6})\] |^\s*\[ *(\d{1,3})%\] ")


def sign_in(line: str) -> str | None:
    """In words; None of a line that says nothing of it."""
    for pattern, words in SIGNS:
        if match := pattern.search(line):
            return words.format(*match.groups())
    return None


def fraction_in(line: str) -> float | None:
    """How much is compiled, from 0 to 1."""
    match = COUNTED.search(line)
    if match is None:
        return None
    done, total, percent = match.groups()
    return min(1.0, int(percent) / 100 if percent else int(done) / max(1, int(total)))
