"""What `pull` and `install` share: a name becomes a job, which is watched until it ends or is asked to."""

import argparse
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from app.cli.terminal import show, warn
from app.errors import AlreadyThere, Cancelled, InstallError, UsageError
from app.library.own_models import GUIDE, SMOLLM2, SMOLLM2_SIZE
from backends.bounds import printable

if TYPE_CHECKING:
    from app.cli.running_app import RunningApp
    from app.jobs.install import Installed
    from app.jobs.install_request import InstallRequest
    from app.jobs.job import Job
    from app.library.entry import ModelEntry
    from app.services import Services

LOOK_SECONDS = 0.1
OWN_NAMES = {  # none on the Hub: those have a stroke
    GUIDE.word: "The guide comes with Slipstream",
    SMOLLM2.word: "SmolLM2 comes from a Python package of one version",
}

T = TypeVar("T")


def add_install_arguments(parser: argparse.ArgumentParser, *, has_guide: bool = False) -> None:
    names = "publisher/repo, publisher/repo:Q4_K_M or publisher/repo/file.gguf"
    small = f"“{SMOLLM2.word}” a small real one, {SMOLLM2_SIZE} by pip"
    own = f"; “{GUIDE.word}” is the model that comes with Slipstream, {small}"
    parser.add_argument("name", metavar="NAME", help=f"{names}{own if has_guide else ''}")
    parser.add_argument("--revision", metavar="R", help="a branch, tag or commit (main)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_install(arguments: argparse.Namespace, *, converts: bool, has_card: bool = True) -> int:
    """Exit code 0. Raises SlipstreamError; asked to end, Cancelled, and what was done so far is kept."""
    from dataclasses import replace

    from app.cli.ending import ending
    from app.jobs.choice import choose, parse_name
    from app.jobs.leftovers import clear_leftovers
    from app.paths import Paths
    from app.services import Services

    if converts and has_card and (model := _made_there(arguments.name, arguments.revision)):
        return _tell_made(arguments, model)
    if converts and arguments.name.lower() in OWN_NAMES:
        return _run_own(arguments, arguments.name.lower())
    asked, name = ending(), parse_name(arguments.name)
    services = Services(Paths.from_environment())
    try:
        for trouble in clear_leftovers(services.paths):
            warn(trouble)
        repository = _until(asked, lambda: services.hub.repository(name.repository_id, arguments.revision))
        request = choose(repository, name, converts=converts)
        report = _report(_install(services, replace(request, has_card=has_card), asked))
    except AlreadyThere as there:
        if there.model_id is None:
            raise
        warn(str(there))
        report = _describe(services.library.find(there.model_id))
    finally:
        services.close()
    show(arguments, report, lambda: _tell(report))
    return 0


def _made_there(name: str, revision: str | None) -> str | None:
    """The id of the model, installed by the Slipstream that runs. None: none does, or it has that model already.

    Raises SlipstreamError, and Cancelled when asked to end."""
    from app.cli.ending import ending
    from app.cli.running_app import Refused, running_app

    app, asked = running_app(), ending()
    if app is None:
        return None
    try:
        job = app.post("jobs/install", name=name, revision=revision)
    except Refused as refusal:
        if refusal.code == "already_there":
            return None
        raise
    warn("The Slipstream that runs installs it; “slipstream jobs” lists what it does.")
    return _watched_there(app, job, asked)


def _watched_there(app: "RunningApp", job: dict[str, Any], asked: threading.Event) -> str:
    from app.cli.progress import ProgressLine

    line = ProgressLine()
    try:
        while job["state"] in ("waiting", "running"):
            line.tell(job["steps"][job["step"]], job["fraction"], job["text"])
            if asked.wait(LOOK_SECONDS):
                raise Cancelled("Stopped watching: Slipstream goes on with it. “slipstream jobs --cancel ID” ends it.")
            jobs = {each["id"]: each for each in app.get("jobs")["jobs"]}
            job = jobs.get(job["id"]) or {**job, "state": "forgotten"}
    finally:
        line.close()
    if job["state"] != "done" or not job["model"]:
        raise InstallError(job["error"] or f"{job['title']}: {job['state']} in the Slipstream that runs.")
    return str(job["model"])


def _tell_made(arguments: argparse.Namespace, model: str) -> int:
    report = _describe(_found(model))
    show(arguments, report, lambda: _tell(report))
    return 0


def _found(model: str) -> "ModelEntry":
    from app.paths import Paths
    from app.services import Services

    services = Services(Paths.from_environment())
    try:
        return services.library.find(model)
    finally:
        services.close()


def _run_own(arguments: argparse.Namespace, word: str) -> int:
    """A model that needs no Hub, by its word. Raises SlipstreamError."""
    from app.cli.ending import ending
    from app.paths import Paths
    from app.services import Services

    if arguments.revision is not None:
        raise UsageError(f"{OWN_NAMES[word]} and has no --revision.")
    asked, services = ending(), Services(Paths.from_environment())
    is_guide = word == GUIDE.word
    try:
        entry = services.guide() if is_guide else services.smollm2()
        if entry is not None:
            warn(f"{'The guide' if is_guide else 'SmolLM2'} is in the library already, as “{entry.id}”.")
        else:
            begin = services.install_guide if is_guide else services.install_smollm2
            entry = _watched(services, begin, asked, "Stopped. Nothing was installed.")
        report = _describe(entry)
    finally:
        services.close()
    show(arguments, report, lambda: _tell(report))
    return 0


def _install(services: "Services", request: "InstallRequest", asked: threading.Event) -> "Installed":
    from app.jobs.install import Installed

    def begin() -> int:
        job_id = services.installs.install(request)
        _tell_before(request)
        return job_id

    kept = "Stopped. What was done is kept; the same command goes on from here."
    installed = _watched(services, begin, asked, kept)
    assert isinstance(installed, Installed)
    return installed


def _watched(services: "Services", begin: Callable[[], int], asked: threading.Event, stopped: str) -> Any:
    """The result of the job. Raises InstallError, and Cancelled with the sentence `stopped` when asked to end."""
    from app.cli.progress import ProgressLine

    line = ProgressLine()

    def tell(job: "Job") -> None:
        line.tell(job.steps[job.step], job.fraction, job.text)

    leave = services.jobs.subscribe(tell)
    try:
        handle = services.jobs.handle(begin())
        while not handle.finished.wait(LOOK_SECONDS):
            if asked.is_set():
                raise Cancelled(stopped)
    finally:
        leave()
        line.close()
    if handle.job.error:
        raise InstallError(handle.job.error)
    return handle.result


def _tell_before(request: "InstallRequest") -> None:
    from app.jobs.install_request import Aim

    if request.aim is Aim.MODEL:
        warn(
            f"{request.download_bytes / 1e9:.2f} GB of a checkpoint are read and not kept. "
            f"“slipstream pull {request.repository_id}” keeps them, for several quantizations."
        )


def _until(asked: threading.Event, function: Callable[[], T]) -> T:
    """The function's result. Raises what it raises, and Cancelled at once when asked to end."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # told on the thread that waits for it
            errors.append(error)

    thread = threading.Thread(target=work, name="hub", daemon=True)
    thread.start()
    while thread.is_alive():
        if asked.is_set():
            raise Cancelled("Stopped.")
        thread.join(LOOK_SECONDS)
    if errors:
        raise errors[0]
    return results[0]


def _report(installed: "Installed") -> dict[str, Any]:
    from app.library.checkpoint_folder import RECORD, contents

    if installed.entry is not None:
        return {**_describe(installed.entry), "note": installed.note}
    files = [path for path in contents(installed.path).files if path.name != RECORD]
    size = sum(path.stat().st_size for path in files)
    return {"id": None, "path": str(installed.path), "files": len(files), "bytes": size, "note": installed.note}


def _describe(entry: "ModelEntry") -> dict[str, Any]:
    return {
        "id": entry.id,
        "path": str(entry.path),
        "files": len(entry.files),
        "bytes": entry.bytes,
        "quantization": entry.quantization,
        "sha256": entry.sha256,
    }


def _tell(report: dict[str, Any]) -> str:
    note = f"\n{report['note']}" if report.get("note") else ""
    name = f"{report['id']}: " if report["id"] else ""
    return f"{name}{printable(report['path'])}, {report['bytes'] / 1e6:,.1f} MB{note}"
