"""The folder of kept reference predictions: which of its files are ours. Knows nothing of what is in them."""

from backends.ownership.directory import Directory

SUFFIX = ".reference"
MAGIC = b"SLIPREF1"  # every file begins with it


def is_reference(directory: Directory, name: str) -> bool:
    return name.endswith(SUFFIX) and directory.read(name, len(MAGIC)) == MAGIC
