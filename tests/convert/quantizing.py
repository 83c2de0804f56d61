"""What tests do with the quantizer in one child process: `run_in_child("tests.convert.quantizing:…")`."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backends.child import QuantizePlan, QuantizeResult, Refusal, Report
from backends.formats.gguf import read_header
from backends.formats.recipe import Recipe
from backends.llama.quantization.importance import Importance
from backends.llama.quantization.importance_reader import read_importance
from backends.llama.quantization.quantize import plan, quantize


def all_types(
    report: Report, source: Path, folder: Path, types: list[str], imatrix: Path | None = None
) -> dict[str, tuple[QuantizePlan, QuantizeResult]]:
    """folder/TYPE.gguf for each, and what was planned and done."""
    found = {}
    for type_ in types:
        recipe = Recipe(type_, imatrix)
        found[type_] = plan(report, source, recipe), quantize(report, source, folder / f"{type_}.gguf", recipe)
    return found


def digests(report: Report, source: Path, target: Path, recipe: Recipe, threads: list[int]) -> set[str]:
    """Of the file that each number of threads makes."""
    found = set()
    for count in threads:
        quantize(report, source, target, recipe, count)
        found.add(hashlib.sha256(target.read_bytes()).hexdigest())
    return found


def on_a_full_disk(report: Report, source: Path, target: Path) -> None:
    shutil.disk_usage = lambda _: SimpleNamespace(free=1000)  # type: ignore[assignment,misc]
    quantize(report, source, target, Recipe("Q8_0"))


def matrix(_report: Report, path: Path) -> Importance:
    return read_importance(path)


def matrices(_report: Report, paths: list[Path]) -> list[Any]:
    """Of each file: the matrix, or the sentence with which it is refused."""
    return [_or_refusal(path) for path in paths]


def _or_refusal(path: Path) -> Any:
    from backends.formats import FormatError

    try:
        return read_importance(path)
    except FormatError as fault:
        return str(fault)


def each(report: Report, source: Path, folder: Path, recipes: list[Recipe], step: int) -> list[tuple[Any, Any]]:
    """Of each recipe the plan and, of each `step`-th, what was made (bytes, number of tensors of each type); or the
    refusals."""
    found: list[tuple[Any, Any]] = []
    target = folder / "made.gguf"
    for number, recipe in enumerate(recipes):
        planned = _or_said(plan, report, source, recipe)
        made = None if number % step else _or_said(quantize, report, source, target, recipe)
        if made is not None and not isinstance(made, str):
            made = made.bytes, dict(Counter(tensor.type for tensor in read_header(target).tensors))
        found.append((planned, made))
    return found


def _or_said(work: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except Refusal as refusal:
        return str(refusal)
