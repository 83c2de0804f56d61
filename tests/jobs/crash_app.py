"""The application of the crash matrix: takes up what was left, or begins the install, and tells each step on stdout.

python -m tests.jobs.crash_app HOME ENDPOINT NAME
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from app.errors import AlreadyThere
from app.hub.client import HubClient
from app.jobs.child import OnProgress
from app.jobs.choice import choose, parse_name
from app.jobs.hashing import hash_file
from app.jobs.install import Tools
from app.jobs.installs import Installs
from app.jobs.job import Job, JobState
from app.jobs.queue import JobQueue
from app.library import store
from app.paths import Paths
from backends.child import Progress

LIMIT = 400.0
LINGER_SECONDS = 0.15  # before and after the manifest is written: else no kill would ever find that moment


def make_card(file: Path, against: Path | None, on_progress: OnProgress, cancelled: threading.Event) -> None:
    """Reads both files as a measurement does, and keeps nothing."""
    assert against is not None
    for number, path in enumerate((against, file)):
        on_progress(Progress(number / 2, "reading"))
        hash_file(path, cancelled)


def linger_at_the_manifest() -> None:
    write = store.write_manifest

    def write_slowly(*arguments: Any) -> None:
        time.sleep(LINGER_SECONDS)
        write(*arguments)
        time.sleep(LINGER_SECONDS)

    store.write_manifest = write_slowly


def main(home: Path, endpoint: str, name: str) -> int:
    paths = Paths.below(home)
    paths.ensure()
    linger_at_the_manifest()
    queue, hub, models = JobQueue(), HubClient(endpoint, token=lambda: None), store.ModelStore(paths.models)
    queue.subscribe(tell)
    installs = Installs(queue, Tools(hub, models, paths.logs, make_card))
    try:
        for notice in installs.recover():
            print(f"notice: {notice}", flush=True)
        if not queue.jobs():
            wanted = parse_name(name)
            installs.install(choose(hub.repository(wanted.repository_id), wanted, converts=True))
        for job in queue.jobs():
            queue.handle(job.id).finished.wait(LIMIT)
        return 0 if all(job.state is JobState.DONE for job in queue.jobs()) else 1
    except AlreadyThere:
        print("step 4 1.000 done there already", flush=True)
        return 0
    finally:
        installs.close()
        hub.close()


def tell(job: Job) -> None:
    print(f"step {job.step} {job.fraction:.3f} {job.state} {job.error or job.text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
