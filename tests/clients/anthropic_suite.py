"""anthropic-python's own tests of what a local server has, against the port: `python -m tests.clients.anthropic_suite`.

Its tests come with its source distribution alone. The guide answers them: short, and in seconds.
"""

import subprocess
import sys
import tarfile
from pathlib import Path

from app.library.own_models import GUIDE
from tests.bench.servers import Setting
from tests.clients import environments
from tests.clients.environments import Environment
from tests.clients.suites import run_pytest, served, summary

PACKAGES = (
    *("anthropic", "pytest", "pytest-asyncio", "respx", "http-snapshot", "inline-snapshot", "dirty-equals"),
    *("pytest-xdist", "aiohttp", "httpx-aiohttp", "httpx2"),
    *("hatchling", "hatch-fancy-pypi-readme"),  # pip asks them of a source distribution what it is
)
TESTS = ("tests/api_resources/test_messages.py", "tests/api_resources/test_models.py")
PATIENCE = 3000  # seconds
CONTEXT, PARALLEL = 2048, 2

LEFT_OUT = {
    r"create_with_all_params": "they name a container with skills, which is refused by name: no code is run here",
}


def main() -> int:
    environment = environments.python("anthropic-suite", PACKAGES)
    source = _source(environment)
    with served(Setting(Path(GUIDE.publisher) / GUIDE.repo, CONTEXT, PARALLEL), installs=GUIDE.word) as server:
        address = {"TEST_API_BASE_URL": f"http://127.0.0.1:{server.port}"}
        outcomes = run_pytest(environment.command[0], source, ["-n", "0", *TESTS], address, PATIENCE)
    passed, counted = summary("anthropic-python's own tests", outcomes, LEFT_OUT)
    return 0 if passed == counted > 0 else 1


def _source(environment: Environment) -> Path:
    """The unpacked source distribution of the installed version, brought once."""
    folder, version = environment.folder, environment.versions["anthropic"]
    source = folder / f"anthropic-{version}"
    if not source.is_dir():
        pip = [sys.executable, "-m", "pip", "--python", environment.command[0], "download", "-q", "--no-deps"]
        how = ["--no-build-isolation", "--no-binary", "anthropic", "-d", str(folder)]
        subprocess.run([*pip, *how, f"anthropic=={version}"], check=True)
        with tarfile.open(folder / f"anthropic-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return source


if __name__ == "__main__":
    sys.exit(main())
