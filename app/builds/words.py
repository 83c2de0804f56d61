"""What was looked at, as titles and texts: the same in the window and in commands."""

from app.builds.doctor import Findings
from app.builds.machine import Gpu, Machine, Version
from app.builds.state import Proof
from backends.build_report import BuildReport

NOTHING = "n/a"
OF_PERSON = "of LLAMA_CPP_LIB_PATH"


def machine_rows(machine: Machine) -> list[tuple[str, str]]:
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


def build_text(findings: Findings, name: str) -> str:
    """What one build said of itself."""
    report = findings.reports[name]
    if not isinstance(report, BuildReport) or report.problem:
        return "cannot be used"
    devices = ", ".join(f"{device.name} ({device.description})" for device in report.devices)
    return f"llama.cpp {report.version}, {devices}"


def trial_text(findings: Findings, name: str) -> str:
    """How it did when it was tried; empty where it was not."""
    if why := findings.rejected.get(name):
        return why
    proof = findings.proof
    return _canary(proof) if proof and proof.name == name else ""


def _canary(proof: Proof) -> str:
    canary = proof.canary
    speeds = [
        f"{what} at {speed:,.0f} tokens/s"
        for what, speed in (
            ("answered", canary.predicted_per_second),
            ("read the prompt", canary.prompt_per_second),
        )
        if speed
    ]
    found = [*speeds, f"took {canary.num_bytes / 1e6:,.0f} MB"]
    return f"Tried on {canary.device} with a small model and a fixed prompt: {', '.join(found)}."


def _gpu(gpu: Gpu) -> str:
    parts = [gpu.name]
    if gpu.memory:
        parts.append(f"{gpu.memory / (1 << 30):.1f} GiB")
    if gpu.capability:
        parts.append(f"compute capability {_version(gpu.capability)}")
    if gpu.is_integrated:
        parts.append("integrated")
    return ", ".join(parts)


def _version(version: Version | None) -> str:
    return f"{version[0]}.{version[1]}" if version else NOTHING
