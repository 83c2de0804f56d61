"""The CUDA compiler out of PyPI's packages: they hold all of it but a few names that a linker looks for.

What pip has put into a folder becomes a toolkit there. Nothing outside of the folder is touched.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# a package for programs that run has the libraries by their full names only
LIBRARIES = ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13")
DRIVERS = (  # of the driver itself: what is linked against it calls for libcuda.so
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
    "/usr/lib/libcuda.so.1",
    "/usr/lib/wsl/lib/libcuda.so.1",
)


class IncompleteKit(Exception):
    """str(): what is missing of it."""


def root_of(site: Path) -> Path:
    """The toolkit's folder within that into which pip has installed. Raises IncompleteKit."""
    for root in sorted((site / "nvidia").glob("cu[0-9]*"), reverse=True):
        if (root / "bin" / "nvcc").is_file():
            return root
    raise IncompleteKit(f"no nvcc in {site}")


def complete(root: Path, drivers: tuple[str, ...] = DRIVERS) -> bool:
    """Gives the linker its names. Whether the driver's own library is among them. Raises IncompleteKit or OSError."""
    libraries = root / "lib"
    for name in LIBRARIES:
        if not (libraries / name).is_file():
            raise IncompleteKit(f"{name} is missing in {libraries}")
        _link(libraries / name.removesuffix(".13"), name)
    _link(root / "lib64", "lib")  # where nvcc looks, by its own profile
    driver = next((path for path in drivers if Path(path).is_file()), None)
    if driver is None:
        return False
    (libraries / "stubs").mkdir(exist_ok=True)
    _link(libraries / "stubs" / "libcuda.so", driver)
    return True


def environment_of(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """For a build with this compiler: paths go by the environment, as CMAKE_ARGS is cut at spaces."""
    path = os.pathsep.join((str(root / "bin"), environment.get("PATH", os.defpath)))
    named = {"CUDACXX": str(root / "bin" / "nvcc"), "CUDA_PATH": str(root), "CUDAToolkit_ROOT": str(root)}
    return {**environment, **named, "PATH": path}


def take_along(root: Path, folder: Path) -> None:
    """The libraries that a build needs when it runs, into its folder: the compiler can then go. Raises OSError."""
    for name in LIBRARIES:
        source, target = root / "lib" / name, folder / name
        try:
            os.link(source, target)
        except FileExistsError:
            continue
        except OSError:  # another disk
            shutil.copyfile(source, target)


def _link(place: Path, target: str) -> None:
    with suppress(FileExistsError):
        place.symlink_to(target)
