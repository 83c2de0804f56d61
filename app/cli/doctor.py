"""`slipstream doctor`: GPUs, driver, compilers, engine builds, and each problem with its cure. Exit code 1 with one."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.builds.builds import Builds
    from app.builds.doctor import Findings, Problem
    from app.builds.machine import Machine
    from app.paths import Paths

EXIT_PROBLEM = 1
NOTHING = "n/a"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.builds.builds import Builds
    from app.builds.doctor import problems
    from app.cli.terminal import show
    from app.paths import Paths
    from app.settings_file import SettingsFile

    paths = Paths.from_environment()
    paths.ensure()
    wanted = SettingsFile(paths.settings_file).load()[0].engine_build
    builds = Builds(paths.builds, paths.builds_state_file, paths.logs, lambda: wanted)
    findings = look(paths, builds, wanted)
    found = problems(findings)
    show(arguments, _document(findings, found), lambda: _tell(findings, found))
    return EXIT_PROBLEM if found else 0


def look(paths: "Paths", builds: "Builds", wanted: str | None) -> "Findings":
    from app.builds.doctor import Findings
    from app.builds.machine import look as look_at_machine
    from app.builds.sign import libraries_of
    from app.errors import BuildError, EngineError
    from app.inference.preflight import Preflight
    from backends.build_report import BuildReport
    from backends.gpu_libraries import gpu_kind

    notice = builds.start()
    active, reports = builds.active, dict[str, BuildReport | str]()
    expected = None
    for build in dict.fromkeys((*builds.shelf.builds(), active)):  # a person's own has no name
        try:
            report = builds.trial.inspect(build, expected)
            expected = expected or report.version
            reports[build.name] = report
        except BuildError as error:
            reports[build.name] = str(error)
    self_test, has_repacking = None, True
    try:
        has_repacking = Preflight(paths.cache, paths.logs).verdict().extra_buffer_types
    except EngineError as error:
        self_test = str(error)
    return Findings(
        look_at_machine(is_whole=True),
        builds.shelf.builds(),
        active.name,
        gpu_kind(libraries_of(active)),
        reports,
        wanted,
        notice,
        self_test,
        has_repacking,
    )


def _document(findings: "Findings", found: "list[Problem]") -> dict[str, Any]:
    from backends.build_report import BuildReport

    machine = asdict(findings.machine)
    reports = {
        name: asdict(report) if isinstance(report, BuildReport) else {"problem": report}
        for name, report in findings.reports.items()
    }
    return {
        "ok": not found,
        "problems": [asdict(problem) for problem in found],
        "machine": machine,
        "builds": {"active": findings.active, "wanted": findings.wanted, "reports": reports},
    }


def _tell(findings: "Findings", found: "list[Problem]") -> str:
    rows = [*_machine_rows(findings.machine), *_build_rows(findings)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {value}".rstrip() for name, value in rows]
    if not found:
        return "\n".join([*lines, "", "No problem found."])
    told = [f"✗ {problem.what}\n  → {problem.cure}" for problem in found]
    return "\n".join([*lines, "", *told])


def _machine_rows(machine: "Machine") -> list[tuple[str, str]]:
    rows = [("GPU", _gpu(gpu)) for gpu in machine.gpus] or [("GPU", "none found")]
    cuda = f", runs CUDA up to {_version(machine.driver_cuda)}" if machine.driver_cuda else ""
    if machine.driver:
        rows.append(("NVIDIA driver", f"{machine.driver}{cuda}"))
    toolkit, vulkan = machine.toolkit, machine.vulkan
    rows.append(("CUDA compiler", f"{_version(toolkit.version)} ({toolkit.nvcc})" if toolkit else "none"))
    headers = f"headers 1.{_version(vulkan.headers)}" if vulkan.headers else "no headers"
    loader = "loader" if vulkan.has_loader else "no loader"
    rows.append(("Vulkan", f"{loader}, {vulkan.glslc or 'no glslc'}, {headers}"))
    rows.append(("C++ compiler", machine.compiler or "none"))
    return rows


def _gpu(gpu: Any) -> str:
    parts = [gpu.name]
    if gpu.memory:
        parts.append(f"{gpu.memory / (1 << 30):.1f} GiB")
    if gpu.capability:
        parts.append(f"compute capability {_version(gpu.capability)}")
    if gpu.is_integrated:
        parts.append("integrated")
    return ", ".join(parts)


def _version(version: tuple[int, int] | None) -> str:
    return f"{version[0]}.{version[1]}" if version else NOTHING


def _build_rows(findings: "Findings") -> list[tuple[str, str]]:
    from backends.build_report import BuildReport

    rows = []
    for name, report in findings.reports.items():
        used = " (used)" if name == findings.active else ""
        if not isinstance(report, BuildReport) or report.problem:
            rows.append(("Engine build", f"{name or 'of LLAMA_CPP_LIB_PATH'}{used}: cannot be used"))
            continue
        devices = ", ".join(f"{device.name} ({device.description})" for device in report.devices)
        rows.append(("Engine build", f"{name or 'of LLAMA_CPP_LIB_PATH'}{used}: llama.cpp {report.version}, {devices}"))
    return rows
