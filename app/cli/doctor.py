"""`slipstream doctor`: GPUs, driver, compilers, engine builds, and each problem with its cure. Exit code 1 with one."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.builds.doctor import Findings, Problem

EXIT_PROBLEM = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.builds.builds import Builds
    from app.builds.doctor import problems
    from app.builds.examination import examine
    from app.cli.terminal import show
    from app.paths import Paths
    from app.settings_file import SettingsFile

    paths = Paths.from_environment()
    paths.ensure()
    wanted = SettingsFile(paths.settings_file).load()[0].engine_build
    builds = Builds(paths.builds, paths.builds_state_file, paths.logs, lambda: wanted)
    findings = examine(paths, builds, wanted)
    found = problems(findings)
    show(arguments, _document(findings, found), lambda: _tell(findings, found))
    return EXIT_PROBLEM if found else 0


def _document(findings: "Findings", found: "list[Problem]") -> dict[str, Any]:
    from app.builds.words import trial_text
    from backends.build_report import BuildReport

    machine = asdict(findings.machine)
    reports = {
        name: asdict(report) if isinstance(report, BuildReport) else {"problem": report}
        for name, report in findings.reports.items()
    }
    trials = {name: text for name in findings.reports if (text := trial_text(findings, name))}
    return {
        "ok": not found,
        "problems": [asdict(problem) for problem in found],
        "machine": machine,
        "builds": {"active": findings.active, "wanted": findings.wanted, "reports": reports, "trials": trials},
    }


def _tell(findings: "Findings", found: "list[Problem]") -> str:
    from app.builds.words import machine_rows

    rows = [*machine_rows(findings.machine), *_build_rows(findings)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {value}".rstrip() for name, value in rows]
    if not found:
        return "\n".join([*lines, "", "No problem found."])
    told = [f"✗ {problem.what}\n  → {problem.cure}" for problem in found]
    return "\n".join([*lines, "", *told])


def _build_rows(findings: "Findings") -> list[tuple[str, str]]:
    from app.builds.words import OF_PERSON, build_text, trial_text

    rows = []
    for name in findings.reports:
        used = " (used)" if name == findings.active else ""
        rows.append(("Engine build", f"{name or OF_PERSON}{used}: {build_text(findings, name)}"))
        if text := trial_text(findings, name):
            rows.append(("", text))
    return rows
