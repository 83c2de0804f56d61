"""The source of a package as its makers publish it, with the tests that its wheel leaves out."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.clients.environments import NotInstalled

PATIENCE = 600  # seconds


def bring(folder: Path, requirement: str) -> Path:
    """Unpacked once, as `folder`. Raises NotInstalled."""
    if folder.exists():
        return folder
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bringing-") as work:
        command = [*pip, "--no-binary", ":all:", "-d", work, requirement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise NotInstalled(f"The source of {requirement} could not be brought. pip says: {last}")
        (archive,) = Path(work).iterdir()
        with tarfile.open(archive) as file:
            file.extractall(Path(work) / "x", filter="data")
        next((Path(work) / "x").iterdir()).rename(folder)
    return folder
