"""Tells builds and drivers apart without loading the one or waking the other."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from app.builds.build import Build
from app.builds.probes import Probes
from backends.gpu_libraries import names_in

DRIVER_FILES = ("/proc/driver/nvidia/version", "/sys/module/nvidia/version", "/sys/module/amdgpu/version")
VULKAN_DRIVERS = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")


def libraries_of(build: Build) -> Path | None:
    """The folder of its libraries; None where llama-cpp-python is not installed."""
    if build.libraries is not None:
        return build.libraries
    spec = find_spec("llama_cpp")
    return Path(spec.origin).parent / "lib" if spec and spec.origin else None


def key_of(build: Build, probes: Probes | None = None) -> str:
    """Another one after every change of the build's files or the GPU's driver."""
    folder = libraries_of(build)
    parts = [build.name, driver_sign(probes or Probes())]
    for name in names_in(folder):
        assert folder is not None
        try:
            status = os.stat(folder / name)
        except OSError:
            continue
        parts.append(f"{name}:{status.st_size}:{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def driver_sign(probes: Probes) -> str:
    """What kernel and files say of the drivers: no program is run and no card is woken."""
    texts = [probes.read(path) or "" for path in DRIVER_FILES]
    texts += [probes.read(path) or "" for folder in VULKAN_DRIVERS for path in probes.glob(folder, "*.json")]
    return "\n".join(texts)
