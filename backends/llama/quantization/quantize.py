"""Quantizes a GGUF file with llama.cpp. Runs in a child: the native call cannot be interrupted and may abort."""

import re
import time
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from backends.child import Progress, QuantizePlan, QuantizeResult, Refusal, Report
from backends.convert.files import part_of, publish, require_space
from backends.formats import FormatError
from backends.formats.gguf import read_header
from backends.formats.recipe import UNMIXED, Recipe
from backends.llama.quantization.call import quantize_file
from backends.llama.quantization.dry_run import DryRun
from backends.llama.quantization.fallback import EMBEDDINGS, OUTPUT, fit, no_type_instead
from backends.llama.quantization.importance import Importance
from backends.llama.quantization.log import LogLines, heard
from backends.llama.quantization.source import Source, read_source
from backends.llama.quantization.trained import keep_trained
from backends.ownership.files import delete_file

TENSOR = re.compile(r"\[ *\d+/ *\d+\] +(\S+)")
NO_INSTEAD = re.compile(r"no tensor type fallback is defined for type (\w+)")
# tells llama.cpp, which chooses some types by it, that a matrix will be there
SOME_MATRIX = Importance("", {}, None, 0)


def quantize(report: Report, source: Path, target: Path, recipe: Recipe, threads: int | None = None) -> QuantizeResult:
    """Writes `source` to `target` as the recipe says. Raises Refusal with one sentence."""
    start = time.perf_counter()
    part = part_of(target)
    try:
        recipe.check()
        model, importance = _read(source, recipe)
        recipe, kept = keep_trained(model, recipe)
        recipe, dry = _planned(model, recipe, importance)
        plan = _checked(dry, model, recipe, importance, kept)
        require_space(target.parent, plan.bytes)
        _run(model, part, recipe, importance, threads, LogProgress(report, dry, model).lines, is_dry=False)
        read_header(part)  # what was written is whole
        publish(part, target)
    except FormatError as fault:
        raise Refusal(str(fault)) from fault
    finally:
        delete_file(part)
    report(Progress(1.0, "Quantized"))
    seconds = time.perf_counter() - start
    figures = target.stat().st_size, seconds, plan.bits_per_weight
    return QuantizeResult(recipe.type, *figures, plan.warnings, plan.fallbacks)


def plan(report: Report, source: Path, recipe: Recipe) -> QuantizePlan:
    """What `quantize` would write. A matrix that is needed may still be missing. Raises Refusal."""
    try:
        recipe.check()
        model, importance = _read(source, recipe)
        recipe, kept = keep_trained(model, recipe)
        fitted, dry = _planned(model, recipe, importance)
        if recipe.quantization.needs_imatrix and importance is None and dry.without_importance(recipe, None):
            # it cannot be made without, and with one the mix differs
            fitted, dry = _planned(model, recipe, SOME_MATRIX)
        report(Progress(1.0, "Planned"))
        return replace(dry.plan(model, fitted, importance), warnings=kept + _warnings(dry, model, fitted))
    except FormatError as fault:
        raise Refusal(str(fault)) from fault


class LogProgress:
    """Turns the line that begins with a tensor's name, before its work is done, into progress by size."""

    def __init__(self, report: Report, dry: DryRun, source: Source):
        self._report = report
        sizes = [source.tensors[name].num_elements for name in dry.types]
        before = accumulate(sizes, initial=0)
        self._done = {name: done / sum(sizes) for name, done in zip(dry.types, before, strict=False)}
        self._last = ""
        self.lines = LogLines(on_start=self._hear)

    def _hear(self, text: str) -> None:
        if (found := TENSOR.search(text)) and found[1] != self._last and found[1] in self._done:
            self._last = found[1]
            self._report(Progress(self._done[self._last], f"Quantizing {self._last}"))


def _read(path: Path, recipe: Recipe) -> tuple[Source, Importance | None]:
    source = read_source(path)
    for pattern, _ in recipe.overrides:
        if not any(re.search(pattern, name) for name in source.tensors):
            raise FormatError(
                f"No tensor of {path.name} matches {pattern!r}. Its names are like 'blk.0.attn_v.weight'."
            )
    if recipe.imatrix is None:
        return source, None
    from backends.llama.quantization.importance_reader import read_importance  # numpy, which most need not wait for

    importance = read_importance(recipe.imatrix)
    importance.check_fits(source)
    return source, importance


def _planned(source: Source, recipe: Recipe, importance: Importance | None) -> tuple[Recipe, DryRun]:
    """What llama.cpp is to be asked for, and what it makes of it. Raises Refusal for what would end its process."""
    fitted = fit(recipe, source)
    dry = _dry_run(source, fitted.recipe, importance)
    dry.fallbacks += fitted.sentences
    if deadly := dry.deadly(importance):
        type_ = dry.types[deadly[0]][1]
        raise Refusal(
            f"{deadly[0]!r} cannot become {type_}: that takes importance data of this very tensor, which "
            f"{importance.name if importance and importance.name else 'an importance matrix'} does not have. Choose "
            "another type for it, for example Q4_K."
        )
    return fitted.recipe, dry


def _dry_run(source: Source, recipe: Recipe, importance: Importance | None) -> DryRun:
    dry = DryRun()
    _run(source, Path("unused"), recipe, importance, None, LogLines(dry.hear), is_dry=True)
    if set(dry.types) != set(source.tensors):
        raise Refusal(f"{source.path.name} could not be quantized: llama.cpp planned {len(dry.types)} of its tensors.")
    return dry


def _checked(
    dry: DryRun, source: Source, recipe: Recipe, importance: Importance | None, kept: tuple[str, ...]
) -> QuantizePlan:
    """The plan, unless llama.cpp would refuse it half-way."""
    if (again := dry.again()) and not recipe.allow_requantize:
        raise Refusal(
            f"{source.path.name} is already quantized (tensor {again[0]!r} is {dry.types[again[0]][0]}). Start from "
            "its F16, BF16 or F32 file, or allow quantizing it again, which loses more than one step would."
        )
    if unknown := dry.without_importance(recipe, importance):
        raise Refusal(_missing(recipe, importance, unknown[0]))
    return replace(dry.plan(source, recipe, importance), warnings=kept + _warnings(dry, source, recipe))


def _missing(recipe: Recipe, importance: Importance | None, tensor: str) -> str:
    if importance is not None:
        what = f"needs importance data for {tensor!r}, which {importance.name} does not have"
    elif recipe.quantization.needs_imatrix:
        what = "needs an importance matrix: at so few bits a model is useless without one"
    else:
        what = f"with these rules needs an importance matrix for {tensor!r}"
    return f"{recipe.type} {what}. Make one for this model first, or choose a larger type."


def _warnings(dry: DryRun, source: Source, recipe: Recipe) -> tuple[str, ...]:
    said = []
    if again := dry.again():
        said.append(
            f"{source.path.name} was quantized before: {len(again)} of its {len(dry.types)} tensors are quantized a "
            "second time, which loses more than going there from the F16, BF16 or F32 file."
        )
    if recipe.output_type and OUTPUT not in source.tensors and _is_output_unheeded(recipe):
        said.append(
            f"The output type was not used: {source.path.name} has no output tensor of its own, its token embeddings "
            "serve for it. Give them a type instead."
        )
    return tuple(said)


def _is_output_unheeded(recipe: Recipe) -> bool:
    """In a model without one, llama.cpp's mix alone takes it for the embeddings."""
    has_rule = recipe.embedding_type is not None or recipe.rule_for(EMBEDDINGS[0]) is not None
    return has_rule or recipe.is_pure or recipe.type in UNMIXED


def _run(
    source: Source,
    part: Path,
    recipe: Recipe,
    importance: Importance | None,
    threads: int | None,
    listener: LogLines,
    is_dry: bool,
) -> None:
    with heard(listener):
        code = quantize_file(source.path, part, recipe, importance, threads, is_dry)
    if code != 0 and "iostream" in listener.last:  # all that C++ says when it cannot write
        raise Refusal(
            f"{part} could not be written: its disk is full or was taken away. Free some space and try again."
        )
    if code != 0:
        said = listener.last.rpartition("failed to quantize: ")[2].rstrip(".") or "no reason was given"
        if no_instead := NO_INSTEAD.search(said):
            raise Refusal(no_type_instead(source.path.name, no_instead[1].upper()))
        raise Refusal(f"{source.path.name} could not be quantized to {recipe.type}: {said}.")
