"""A place for each client outside the checkout, made once: a virtual environment, or a folder of npm's.

They lie in $SLIPSTREAM_CLIENTS or ~/.cache/slipstream-clients. Which versions stand in pins/, so that pip searches for
nothing. Knows packages, nothing of what is driven.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 1800  # seconds for one client's packages
PINS = Path(__file__).parent / "pins"
VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"


class NotInstalled(Exception):
    """A client's packages could not be brought; str() is a sentence."""


@dataclass(frozen=True, slots=True)
class Environment:
    """`command` runs a script file; `versions` are those of the packages that were asked for."""

    command: tuple[str, ...]
    folder: Path
    versions: dict[str, str]


def home() -> Path:
    return Path(os.environ.get("SLIPSTREAM_CLIENTS") or Path("~/.cache/slipstream-clients").expanduser())


def python(name: str, packages: tuple[str, ...]) -> Environment:
    """packages: requirements, whose versions and those of what they need are pinned. Raises NotInstalled."""
    folder = home() / name
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = PINS / f"{name}.txt"
    wanted = "\n".join([*packages, pins.read_text("utf-8")])
    if _is_missing(folder, wanted):
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], name)
        # our pip, and no bytecode for modules that nothing imports: minutes less for the large ones
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(interpreter)]
        _run([*pip, "install", "-q", "--no-compile", "-c", str(pins), *packages], name)
        _stamp(folder).write_text(wanted, "utf-8")
    names = [package.partition("[")[0] for package in packages]
    versions = _run([str(interpreter), "-c", VERSIONS, *names], name)
    return Environment((str(interpreter),), folder, json.loads(versions))


def pin(name: str, packages: tuple[str, ...]) -> Path:
    """Search for the newest of all that `packages` need, and write it down. Minutes. Raises NotInstalled."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    how = ["--dry-run", "--ignore-installed", "--prefer-binary", "--report", "-"]
    found = json.loads(_run([*pip, *how, *packages], name))["install"]
    lines = sorted(f"{one['metadata']['name'].lower()}=={one['metadata']['version']}" for one in found)
    path = PINS / f"{name}.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def node(name: str, packages: tuple[str, ...]) -> Environment:
    """packages: each NAME@VERSION. Raises NotInstalled."""
    folder = home() / name
    wanted = "\n".join(packages)
    if _is_missing(folder, wanted):
        folder.mkdir(parents=True)
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages], name)
        _stamp(folder).write_text(wanted, "utf-8")
    names = [package.rpartition("@")[0] for package in packages]
    return Environment(("node",), folder, {name: _npm_version(folder, name) for name in names})


def _npm_version(folder: Path, package: str) -> str:
    manifest = json.loads((folder / "node_modules" / package / "package.json").read_text("utf-8"))
    return str(manifest["version"])


def _is_missing(folder: Path, wanted: str) -> bool:
    """Nothing whole is there with these packages and pins; what was left half-way is removed."""
    stamp = _stamp(folder)
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return False
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Bringing the client to {folder}, once …", flush=True)
    return True


def _stamp(folder: Path) -> Path:
    return folder / "slipstream.stamp"


def _run(command: list[str], name: str) -> str:
    fault = f"{name} could not be installed. "
    if shutil.which(command[0]) is None:
        raise NotInstalled(f"{fault}{command[0]} is not here.")
    try:
        with tempfile.TemporaryDirectory(prefix="slipstream-clients-") as work:
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{fault}Nothing came for {PATIENCE // 60} minutes.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotInstalled(f"{fault}{Path(command[0]).name} says: {last}")
    return done.stdout
