"""A file somewhere else: where it lies and how to recognise it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """`headers` (the token) go to this address's origin alone.

    bytes: the file's exact size. sha256 of its content, or git_sha1, which is git's name of the blob; with neither
    only the size can be checked.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    bytes: int
    sha256: str | None = None
    git_sha1: str | None = None
