"""`python -m tests.hub.double FOLDER [--port N]`: FOLDER/<publisher>/<repo>/** as a Hub, until Ctrl+C.

The first line on stdout is the address for HF_ENDPOINT.
"""

import argparse
import signal
from pathlib import Path

from tests.hub.double.repo import HubRepo
from tests.hub.double.server import HubDouble


def repos_of(folder: Path) -> list[HubRepo]:
    found = []
    for path in sorted(folder.glob("*/*")):
        if path.is_dir():
            files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
            found.append(HubRepo(path.relative_to(folder).as_posix(), files))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with HubDouble(repos_of(arguments.folder.absolute()), arguments.port) as double:
        print(double.endpoint, flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
