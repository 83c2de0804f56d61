"""A GPU to test with where there is none: Mesa's software Vulkan device, and llama.cpp built for it.

`python -m tests.gpu.stand_in` makes both once, outside of the checkout ($SLIPSTREAM_GPU_TEST or
~/.cache/slipstream-gpu-test; some twelve minutes on two cores), then runs the tests marked `gpu` on it.
llama.cpp takes the device for a GPU with 2 GiB of its own, and a Vulkan layer (card.c) makes it one that holds no more,
and can be lost. On Debian and Ubuntu, as root; where an engine build with a GPU is chosen by LLAMA_CPP_LIB_PATH,
nothing is made and the tests run on that.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from app.builds.flags import AMX_OFF
from backends.gpu_libraries import gpu_kind
from backends.with_build import LIBRARIES
from tests.real import things

TOOLS = {"glslc": "glslc", "cmake": "cmake", "ninja": "ninja-build"}  # programs and their packages
DRIVER = "mesa-vulkan-drivers"
HEADERS = ("libvulkan-dev", "spirv-headers")
HEADERS_SUITE = "trixie"  # Debian 12's are too old for llama.cpp
ICD = "lvp_icd*.json"
ICD_FOLDERS = ("/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d")
ROOT = Path(__file__).parents[2]
LAYER = "VK_LAYER_SLIPSTREAM_card"
LAYERS, CARD, CARD_BYTES, LOST = "VK_INSTANCE_LAYERS", "SLIPSTREAM_CARD", "SLIPSTREAM_CARD_BYTES", "SLIPSTREAM_LOST"


class NoStandIn(Exception):
    """str(): what is missing, and what to do."""


def home() -> Path:
    return Path(os.environ.get("SLIPSTREAM_GPU_TEST") or Path("~/.cache/slipstream-gpu-test").expanduser())


def environment() -> dict[str, str]:
    """With which an engine runs on the device. Raises NoStandIn where it has not been made."""
    libraries, icd = _libraries(), _icd()
    if icd is None or not (libraries / "done").is_file():
        raise NoStandIn("The software GPU has not been made yet. Run: make gpu-test")
    return {
        "VK_ICD_FILENAMES": str(icd),
        "GGML_VK_VISIBLE_DEVICES": "0",
        "VK_LAYER_PATH": str(_card()),
        LAYERS: LAYER,
        CARD: str(_card() / "held"),
        LIBRARIES: str(libraries),
    }


def is_used() -> bool:
    """By this process: not a real GPU."""
    return os.environ.get(LAYERS) == LAYER


def make() -> None:
    """What is missing of it. Raises NoStandIn or subprocess.CalledProcessError."""
    if not ((_libraries() / "done").is_file() and _icd()):
        _make_all()
    _make_card()


def _make_all() -> None:
    packages = [package for program, package in TOOLS.items() if not shutil.which(program)]
    packages += [] if _icd() else [DRIVER]
    if packages:
        _install(packages)
    if _icd() is None:
        raise NoStandIn(f"{DRIVER} brings no {ICD}: this Mesa has no software device.")
    headers = home() / "headers"
    if not (headers / "done").is_file():
        _bring_headers(headers)
    _build(headers / "root" / "usr")


def _install(packages: list[str]) -> None:
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NoStandIn(f"Install these packages, then run make gpu-test again: {' '.join(packages)}")
    print(f"Installing {' '.join(packages)} …", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-qq"], env=quiet)
    _run(command, env=quiet)


def _bring_headers(folder: Path) -> None:
    """Unpacked there, installed nowhere: from the repository that this system has, of a newer suite."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    repository = next((line.split()[0] for line in listed.splitlines() if line.endswith("/debian/ main")), None)
    if repository is None:
        raise NoStandIn(f"There is no Debian repository here to take {' and '.join(HEADERS)} of {HEADERS_SUITE} from.")
    print(f"Bringing {' and '.join(HEADERS)} of {HEADERS_SUITE} …", flush=True)
    work = folder / "packages"
    for needed in (work, folder / "lists" / "partial", folder / "root"):
        needed.mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb {repository} {HEADERS_SUITE} main\n")
    options = [
        f"-oDir::Etc::sourcelist={folder / 'sources.list'}",
        "-oDir::Etc::sourceparts=/dev/null",
        f"-oDir::State::Lists={folder / 'lists'}",
        "-oAPT::Sandbox::User=root",
    ]
    _run(["apt-get", *options, "update", "-qq"])
    for package in HEADERS:
        _run(["apt-get", *options, "download", "-qq", package], cwd=work)
    for archive in work.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(folder / "root")])
    (folder / "done").write_text("")


def _build(headers: Path) -> None:
    """llama.cpp of the binding's own version, into `lib`."""
    source, build, libraries = things.sdist(), home() / "build", _libraries()
    include = f"-I{headers / 'include'}"
    flags = f"{include} {AMX_OFF}" if platform.machine() in ("x86_64", "AMD64") else include
    print("Compiling llama.cpp for the software GPU, once; usually 12 min on two cores …", flush=True)
    configure = [
        "-DGGML_VULKAN=ON",
        f"-DVulkan_INCLUDE_DIR={headers / 'include'}",
        f"-DVulkan_LIBRARY={_loader()}",
        f"-DCMAKE_PREFIX_PATH={headers}",
        f"-DCMAKE_CXX_FLAGS={flags}",
        f"-DCMAKE_C_FLAGS={flags}",
        *(f"-DLLAMA_BUILD_{part}=OFF" for part in ("COMMON", "TESTS", "EXAMPLES", "TOOLS", "SERVER")),
        "-DBUILD_SHARED_LIBS=ON",
        "-DCMAKE_BUILD_TYPE=Release",
    ]
    _run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(build), *configure])
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    _run([*nice, "cmake", "--build", str(build), "--target", "llama", "ggml-vulkan", *_jobs()])
    if gpu_kind(build / "bin") != "vulkan":
        raise NoStandIn(f"What was compiled in {build} has no Vulkan part.")
    libraries.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libraries.parent, prefix=".copying-") as folder:
        whole = Path(folder) / "lib"
        shutil.copytree(build / "bin", whole, symlinks=True)
        (whole / "done").write_text("")
        with suppress(OSError):  # another one has been quicker
            whole.rename(libraries)


def _make_card() -> None:
    """The layer; anew each time, for it takes no second."""
    folder, source = _card(), Path(__file__).with_name("card.c")
    folder.mkdir(parents=True, exist_ok=True)
    headers = home() / "headers" / "root" / "usr" / "include"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        library = Path(work) / "libcard.so"
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-fvisibility=hidden", f"-I{headers}"]
        _run(["cc", *flags, "-o", str(library), str(source)])
        library.rename(folder / library.name)
    described = {
        "name": LAYER,
        "type": "GLOBAL",
        "library_path": str(folder / "libcard.so"),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "a card with memory of its own, which can be lost",
    }
    (folder / "card.json").write_text(json.dumps({"file_format_version": "1.1.0", "layer": described}))


def _card() -> Path:
    return home() / "card"


def _loader() -> Path:
    """The system's own: the packages with headers bring only a name for it."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        if (path := Path(folder) / "libvulkan.so.1").exists():
            return path
    raise NoStandIn("libvulkan.so.1 is missing. Install the package libvulkan1, then run make gpu-test again.")


def _jobs() -> list[str]:
    wanted = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL")
    return ["-j", wanted] if wanted else []


def _libraries() -> Path:
    return home() / things.SDIST.replace("==", "-") / "lib"


def _icd() -> Path | None:
    return next((path for folder in ICD_FOLDERS for path in sorted(Path(folder).glob(ICD))), None)


def _run(command: list[str], **how: object) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **how)  # type: ignore[call-overload]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-make", action="store_true", help="run no tests")
    parser.add_argument("arguments", nargs="*", help="handed on to pytest")
    options = parser.parse_args()
    has_own = LIBRARIES in os.environ
    try:
        if not has_own:
            make()
        more = {} if has_own else environment()
    except (NoStandIn, things.Unreachable) as fault:
        print(f"slipstream: {fault}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as fault:
        print(f"slipstream: “{' '.join(map(str, fault.cmd[:4]))} …” failed; its output stands above.", file=sys.stderr)
        return 1
    if options.only_make:
        return 0
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", *options.arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
