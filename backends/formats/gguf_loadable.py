"""Refuses sound files that llama.cpp would not refuse but end the process on. Reads headers with all their arrays.

A list of models need not know this; whoever loads a file natively does. Each rule names the assertion it forestalls,
as of the llama.cpp in packaging/constraints.txt; tests/bench/fuzz_gguf.py looks for those that are missing.
"""

from collections.abc import Sequence
from pathlib import Path

from backends.formats.gguf import Header, check_model, read_header
from backends.formats.gguf_split import check_parts, part_paths


def check_loadable(path: Path) -> Header:
    """The header of a model that may be handed to llama.cpp. Raises FormatError with a sentence for any other."""
    headers = [read_header(each, keep_arrays=True) for each in part_paths(path)]
    check_headers(headers)
    return headers[0]


def check_headers(headers: Sequence[Header]) -> None:
    check_parts(headers)
    check_model(headers[0], headers[1:])
