"""What is wrong with how this machine computes, each problem with its cure. Pure over what was looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.builds.build import Build
from app.builds.machine import Machine, Vendor
from app.builds.state import Proof
from app.builds.unused import unused_sentence
from backends.build_report import BuildReport


@dataclass(frozen=True, slots=True)
class Problem:
    """Two sentences, one line each."""

    what: str
    cure: str


@dataclass(frozen=True, slots=True)
class Findings:
    """reports: what each build said of itself, by its name, or why it could not. kind: of the active one.

    active: the name of the build that is used. wanted: of the settings. notice: why that is another one.
    self_test: why the active one does not survive its self-test; repacking: whether it does so whole. proof: of the one
    that did well when it was tried. rejected: why others did not, by name.
    """

    machine: Machine
    builds: Sequence[Build]
    active: str
    kind: str | None
    reports: dict[str, BuildReport | str]
    wanted: str | None = None
    notice: str | None = None
    self_test: str | None = None
    has_repacking: bool = True
    proof: Proof | None = None
    rejected: dict[str, str] = field(default_factory=dict)


def problems(findings: Findings) -> list[Problem]:
    """The gravest first; none where all is well."""
    found = [*_unusable(findings), *_idle(findings)]
    if findings.notice:
        found.append(_split(findings.notice))
    if not findings.has_repacking:
        found.append(
            Problem(
                "The engine crashes with its extra buffer types on this processor, so they are off: drafting and "
                "several answers at once are slower.",
                "Build it anew with the right flags: make engine",
            )
        )
    return found


def _unusable(findings: Findings) -> list[Problem]:
    found = []
    for name, report in findings.reports.items():
        why = report if isinstance(report, str) else report.problem
        if why:
            is_installed = name == findings.builds[0].name
            cure = "Build it anew: make engine" if is_installed else f"Remove it: slipstream builds --remove {name}"
            found.append(Problem(f"The engine build “{name}” cannot be used: {why}", cure))
    if findings.self_test:
        found.append(Problem(f"The engine fails its self-test: {findings.self_test}", "Build it anew: make engine"))
    return found


def _idle(findings: Findings) -> list[Problem]:
    sentence = unused_sentence(findings.machine, findings.kind)
    if sentence:
        return [_split(sentence)]
    report = findings.reports.get(findings.active)
    if isinstance(report, BuildReport) and findings.kind and not report.gpus and not report.problem:
        gpu = findings.machine.gpu
        named = f" ({gpu.name})" if gpu else ""
        what = f"The engine is built for {findings.kind}, and finds no GPU{named}."
        return [Problem(what, _look_at_driver(findings.machine))]
    return []


def _look_at_driver(machine: Machine) -> str:
    if machine.gpu and machine.gpu.vendor is Vendor.NVIDIA:
        return "Look whether nvidia-smi lists the card, and whether CUDA_VISIBLE_DEVICES hides it"
    return "Look whether vulkaninfo lists it; Mesa's drivers are in mesa-vulkan-drivers (Debian, Ubuntu)"


def _split(sentence: str) -> Problem:
    """What is so, and the last sentence, which says what to do."""
    what, dot, cure = sentence.rstrip(".").rpartition(". ")
    return Problem(f"{what}." if dot else sentence, cure if dot else "See “slipstream builds”")
