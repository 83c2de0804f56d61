"""Builds the peers from the sources that our engine's wheel is made of, with the same compiler flags, no web page.

`python -m tests.bench.peers FOLDER` leaves FOLDER/build/bin/llama-server (and llama-bench, llama-batched-bench,
llama-perplexity, llama-quantize) and FOLDER/venv for `llama_cpp.server`. About seven minutes on two cores.
"""

import importlib.util
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from llama_cpp import __version__ as version

ROOT = Path(__file__).parents[2]
TOOLS = ("llama-server", "llama-bench", "llama-batched-bench", "llama-perplexity", "llama-quantize")
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
}
SERVER_NEEDS = ("sse-starlette", "starlette-context", "pydantic-settings")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = _source(folder)
    build = folder / "build"
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    environment = _flags()
    _run("cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", *options, environment=environment)
    _run("cmake", "--build", str(build), "--target", *TOOLS, environment=environment)
    _server_venv(folder / "venv")


def _flags() -> dict[str, str]:
    """Those of the one place that has them."""
    spec = importlib.util.spec_from_file_location("preparation", ROOT / "packaging" / "preparation.py")
    assert spec
    assert spec.loader
    preparation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(preparation)
    environment: dict[str, str] = preparation.engine_environment()
    return environment


def _source(folder: Path) -> Path:
    name = f"llama_cpp_python-{version}"
    if not (folder / name).exists():
        wanted = f"llama-cpp-python=={version}"
        _run(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", str(folder), wanted)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name / "vendor" / "llama.cpp"


def _server_venv(folder: Path) -> None:
    """Our own packages, and what llama_cpp.server needs beside them."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(ours + "\n")
    _run(str(python), "-m", "pip", "install", *SERVER_NEEDS)


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, env=environment or dict(os.environ))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
