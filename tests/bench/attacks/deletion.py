"""Everything that deletes, against links, foreign folders, pipes, marks that are none, mounts, exchanges and kills.

What is precious lies outside of the application's folders, or in them without having been made by it. It must be there
to the last byte, mode and time afterwards; what is the application's own must be gone.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from app.errors import InstallError, SlipstreamError
from app.hub.repository import HubFile
from app.jobs.install_record import FILE_NAME, InstallRecord, Step, write_record
from app.jobs.install_request import Aim, InstallRequest
from app.jobs.job import JobContext, JobState
from app.paths import Paths
from app.services import Services
from tests.bench.attacks.case import Case
from tests.convert import sources
from tests.library import foreign

ROOT = Path(__file__).parents[3]
REQUEST = InstallRequest("org/repo", "c" * 40, (HubFile("m-Q4_K_M.gguf", 100, "a" * 64),), Aim.GGUF, "Q4_K_M")
ID = "0123456789ab"
NUM_KILLS = 50
SECONDS = 30.0
STATE = b"SLIPSTAT"


class Stage:
    """A home of the application, and a person's folder beside it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.home = folder / "home"
        self.paths = Paths.below(self.home)
        self.paths.ensure()
        self.precious = precious(folder / "precious")
        self.before = snapshot(self.precious)

    @property
    def installs(self) -> Path:
        return self.paths.models / ".installs"

    @property
    def quantizing(self) -> Path:
        return self.paths.models / ".quantizing"

    def link(self, place: Path, target: Path | None = None) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target or self.precious, target_is_directory=True)
        return place

    def start(self) -> tuple[list[str], list[str]]:
        """As the window and the port start. The notices, and the titles of jobs."""
        services = Services(self.paths)
        try:
            services.recover_installs()
            return services.notices, [job.title for job in services.jobs.jobs()]
        finally:
            services.close()

    def fault(self) -> str | None:
        changed = set(self.before.items()) ^ set(snapshot(self.precious).items())
        return f"changed: {sorted({name for name, _ in changed})[:4]}" if changed else None


def precious(folder: Path) -> Path:
    """What a person keeps: names that look like ours among it."""
    for name in ("letters", ID, "work-thesis", "guide-of-paris", "tmpabcdefgh"):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep" / "letter.txt").write_text("dear")
        (folder / name / "model.gguf.part").write_bytes(b"half of a download")
    for name in ("thesis.state", "film.part", "tmpabcdefgh.part", "answers.reference", f"{'a' * 40}.state", "lock"):
        (folder / name).write_bytes(b"of a person")
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (1_000_000, 1_000_000))
    return folder


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content: object = os.readlink(path) if path.is_symlink() else None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


@contextmanager
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    try:
        yield Stage(folder)
    finally:
        shutil.rmtree(folder)


Attack = Callable[[Stage], str | None]


def run(attack: Attack) -> str | None:
    with stage() as it:
        return attack(it) or it.fault()


def cases() -> Iterator[Case]:
    for group in (_roots(), _foreign(), _marks(), _models(), _own(), _exchanges()):
        for name, attack in group:
            yield Case(name, partial(run, attack))
    yield from kills(NUM_KILLS)


Group = Iterator[tuple[str, Attack]]

# --- a root of ours is a link, a file or a pipe


def _roots() -> Group:
    for name in ("installs", "quantizing"):
        yield f"{name} is a link: start", partial(_linked_start, name)
        yield f"{name} is a link that leads nowhere: start", partial(_start_beside, name, "dangling")
        yield f"{name} is a link to the models: start", partial(_start_beside, name, "models")
        yield f"{name} is a file: start", partial(_start_beside, name, "file")
        yield f"{name} is a pipe: start", partial(_start_beside, name, "pipe")
    yield "installs is a link: install", _linked_install
    yield "quantizing is a link: quantize", _linked_quantize
    yield "installs and quantizing are links: serve", _linked_serve
    yield "prompts is a link: an engine starts", _linked_prompts
    yield "prompts is a link: cleared", _linked_prompts_cleared
    yield "evaluations is a link: measured", _linked_evaluations


def _linked_start(name: str, it: Stage) -> str | None:
    it.link(getattr(it, name))
    notices, _ = it.start()
    return None if any("is a link" in notice for notice in notices) else f"nothing was said: {notices}"


def _start_beside(name: str, kind: str, it: Stage) -> str | None:
    place: Path = getattr(it, name)
    kept = foreign.gguf(it.paths.models / "org" / "repo" / "model.gguf")
    if kind == "file":
        place.write_bytes(b"a file")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        it.link(place, it.folder / "nowhere" if kind == "dangling" else it.paths.models)
    before = place.lstat()
    it.start()
    if not kept.exists():
        return "a model was deleted"
    return None if place.lstat() == before else "it was changed"


def _linked_install(it: Stage) -> str | None:
    it.link(it.installs)
    services = Services(it.paths)
    try:
        services.installs.install(REQUEST)
    except InstallError as error:
        return None if "is a link" in str(error) else f"no sentence: {error}"
    finally:
        services.close()
    return "it was installed into the link"


def _linked_quantize(it: Stage) -> str | None:
    from app.jobs.quantize import Quantize

    it.link(it.quantizing)
    source = foreign.gguf(it.paths.models / "org" / "repo" / "model-F16.gguf")
    services = Services(it.paths)
    try:
        work = Quantize(services.store, it.paths.logs, services.store.find(str(source)), "Q4_K_M")
        job = services.jobs.add(work).wait(SECONDS)
        said = job.error or ""
        return None if job.state is JobState.FAILED and "is a link" in said else f"no sentence: {said}"
    finally:
        services.close()


def _linked_serve(it: Stage) -> str | None:
    for place in (it.installs, it.quantizing, it.paths.prompt_cache):
        it.link(place)
    command = [sys.executable, "-m", "app", "serve", "--port", str(_free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLIPSTREAM_HOME": str(it.home)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    if "is listening" not in line:
        return f"it did not start: {said[-200:]}"
    return None if said.count("is a link") == 2 else f"not said: {said[-200:]}"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _linked_prompts(it: Stage) -> str | None:
    it.link(it.paths.prompt_cache)
    store = _open_store(it)
    store.close()
    said = getattr(store, "note", None) or ""
    return None if store.disk is None and "is a link" in said else f"kept in the link; {said}"


def _linked_prompts_cleared(it: Stage) -> str | None:
    from app import prompt_cache_folder

    (it.precious / "kept.state").write_bytes(STATE + bytes(100))  # a backup of the person's
    it.before = snapshot(it.precious)
    it.link(it.paths.prompt_cache)
    return f"{cleared} bytes were cleared" if (cleared := prompt_cache_folder.clear(it.paths.prompt_cache)) else None


def _linked_evaluations(it: Stage) -> str | None:
    it.link(it.paths.cache / "evaluations")
    try:
        _evaluate(it)
    except SlipstreamError as error:
        return None if "is a link" in str(error) else f"no sentence: {error}"
    return "it was measured there"


def _evaluate(it: Stage) -> None:
    """A real, tiny model on a short text, compared with itself."""
    from app.lab.evaluate import evaluate
    from app.lab.settings import Settings

    model, text = sources.write_llama(it.folder), it.folder / "text.txt"
    text.write_text("The quick brown fox sleeps.\n" * 20)
    settings = Settings(text=text, context=32, threads=1)
    evaluate(model, model, settings=settings, logs=it.paths.logs, cache=it.paths.cache)


def _open_store(it: Stage) -> Any:
    from backends.prompt_cache.state_store import open_store
    from backends.protocol import EngineOptions

    options = EngineOptions(prompt_cache_folder=it.paths.prompt_cache, prompt_cache_ram=1 << 20)
    return open_store(options, "a key", True, SimpleQueue().put)


# --- a real root of ours holds what is not ours


def _foreign() -> Group:
    yield "a foreign folder in installs", partial(_foreign_in, "installs", lambda _it, _folder: None)
    yield "a foreign folder in quantizing", partial(_foreign_in, "quantizing", lambda _it, _folder: None)
    yield "a foreign folder with a lock in quantizing", partial(_foreign_in, "quantizing", _with_lock)
    yield "a foreign folder with a broken record", partial(_foreign_in, "installs", _with_broken_record)
    yield "a foreign folder with our record and more", partial(_foreign_in, "installs", _with_record)
    yield "a foreign folder with a link as record", partial(_foreign_in, "installs", _with_linked_record)
    yield "a foreign folder with a pipe as record", partial(_foreign_in, "installs", _with_piped_record)
    yield "foreign files in installs", _foreign_files
    yield "foreign folders in the cache: the guide", _foreign_guide
    yield "foreign folders in the cache: the demo", _foreign_demo
    yield "a foreign folder in the library: bring in", _foreign_incoming
    yield "foreign folders and references in evaluations", _foreign_evaluations
    yield "foreign folders and references beside ours", _foreign_beside_our_references
    yield "foreign states in prompts of an earlier version", _foreign_prompts
    yield "foreign states beside ours", _foreign_beside_ours
    yield "a foreign .part beside a converted file", _foreign_part
    yield "a link as .part of the record", _linked_part


def _foreign_in(name: str, change: Callable[[Stage, Path], None], it: Stage) -> str | None:
    place: Path = getattr(it, name)
    place.mkdir()
    it.precious = shutil.move(it.precious, place / ID)
    change(it, it.precious)
    it.before = snapshot(it.precious)
    it.start()
    services = Services(it.paths)
    with suppress(InstallError):
        services.installs.install(REQUEST)
    services.close()
    return None


def _with_lock(_: Stage, folder: Path) -> None:
    (folder / "lock").write_bytes(b"")


def _with_broken_record(_: Stage, folder: Path) -> None:
    (folder / FILE_NAME).write_text("{")


def _with_record(_: Stage, folder: Path) -> None:
    write_record(folder, InstallRecord(REQUEST, {Step.ADD: ()}))


def _with_linked_record(it: Stage, folder: Path) -> None:
    write_record(it.folder, InstallRecord(REQUEST, {Step.ADD: ()}))
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / FILE_NAME).symlink_to(it.folder / FILE_NAME)


def _with_piped_record(_: Stage, folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.mkfifo(folder / FILE_NAME)


def _foreign_files(it: Stage) -> str | None:
    it.installs.mkdir()
    (it.installs / "letter.txt").write_text("dear")
    it.link(it.installs / ID)
    it.start()
    return None if sorted(path.name for path in it.installs.iterdir()) == [ID, "letter.txt"] else "they are gone"


def _foreign_guide(it: Stage) -> str | None:
    from app.jobs.install_guide import InstallGuide

    it.precious = shutil.move(it.precious, it.paths.cache / "guide-of-paris")
    os.utime(it.precious, (1, 1))
    it.before = snapshot(it.precious)
    with suppress(SlipstreamError):  # there is no checkpoint
        InstallGuide(it.paths, it.folder / "none", it.folder / "none", "x").run(_context())
    return None


def _foreign_demo(it: Stage) -> str | None:
    from app.cli import demo

    it.precious = shutil.move(it.precious, it.paths.cache / "demo-tape")
    os.utime(it.precious, (1, 1))
    it.before = snapshot(it.precious)
    before = demo.demonstrate, os.environ.get("SLIPSTREAM_HOME")
    os.environ["SLIPSTREAM_HOME"] = str(it.home)
    demo.demonstrate = lambda *_: {}
    try:
        demo.run(_Arguments())  # type: ignore[arg-type]
    finally:
        demo.demonstrate = before[0]
        del os.environ["SLIPSTREAM_HOME"]
        if before[1] is not None:
            os.environ["SLIPSTREAM_HOME"] = before[1]
    names = [path.name for path in it.paths.cache.iterdir()]
    return None if names == ["demo-tape"] else f"left: {names}"


class _Arguments:
    json = True


def _foreign_incoming(it: Stage) -> str | None:
    from app.jobs.bring_in import BringIn
    from app.library.store import ModelStore

    it.precious = shutil.move(it.precious, it.paths.models / ".incoming-mail")
    os.utime(it.precious, (1, 1))
    it.before = snapshot(it.precious)
    (entry,) = BringIn(ModelStore(it.paths.models), (foreign.gguf(it.folder / "in" / "a.gguf"),)).run(_context())
    return None if entry.path.exists() else "nothing was brought in"


def _foreign_evaluations(it: Stage) -> str | None:
    from app.lab import evaluate as module

    folder = it.paths.cache / "evaluations"
    it.precious = shutil.move(it.precious, folder)
    os.utime(it.precious / "work-thesis", (1, 1))
    it.before = snapshot(it.precious)
    before, module.MAX_CACHE_BYTES = module.MAX_CACHE_BYTES, 0
    try:
        _evaluate(it)
    except SlipstreamError as error:
        return None if "is not Slipstream's" in str(error) else f"no sentence: {error}"
    finally:
        module.MAX_CACHE_BYTES = before
    return "it was measured there"


def _foreign_beside_our_references(it: Stage) -> str | None:
    """In our own folder: the old ones make room, others' files stay."""
    from app.lab import evaluate as module

    folder = it.paths.cache / "evaluations"
    _evaluate(it)
    it.precious = shutil.move(it.precious, folder / "work-thesis")
    (folder / "answers.reference").write_bytes(b"of a person")
    for path in (it.precious, folder / "answers.reference"):
        os.utime(path, (1, 1))
    it.before = snapshot(it.precious)
    before, module.MAX_CACHE_BYTES = module.MAX_CACHE_BYTES, 0
    try:
        _evaluate(it)
    finally:
        module.MAX_CACHE_BYTES = before
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return None if names == ["answers.reference", "work-thesis"] else f"left: {names}"


def _foreign_prompts(it: Stage) -> str | None:
    it.precious = shutil.move(it.precious, it.paths.prompt_cache)
    it.before = snapshot(it.precious)
    store = _open_store(it)
    store.close()
    return None if store.disk is None and store.note else "they are kept among a person's files"


def _foreign_beside_ours(it: Stage) -> str | None:
    """In our own folder: the cache goes on, and goes around them."""
    from backends.prompt_cache.state import State

    _open_store(it).close()
    folder = it.paths.prompt_cache
    names = ("thesis.state", "film.part", "tmpabcdefgh.part")
    for name in names:
        (folder / name).write_bytes(b"of a person")
        os.utime(folder / name, (1, 1))
    store = _open_store(it)
    store.disk.budget = 20_000
    for n in range(8):
        store.disk.write(State([n] * 100, bytearray(4000)), wait=True)
    store.close()
    num_states = sum(path.suffix == ".state" for path in folder.iterdir()) - 1
    lives = all((folder / name).read_bytes() == b"of a person" for name in names)
    return None if lives and 1 <= num_states <= 4 else f"{num_states} states, the person's files live: {lives}"


def _foreign_part(it: Stage) -> str | None:
    from app.jobs.convert import quantize_file

    target = it.precious / "model.gguf"
    (it.precious / "model.gguf.part").write_bytes(b"a browser's download")
    it.before = snapshot(it.precious)
    with suppress(SlipstreamError):  # it holds hardly any tensor
        quantize_file(foreign.gguf(it.folder / "m.gguf"), target, "Q4_K_M", logs=it.paths.logs)
    target.unlink(missing_ok=True)
    os.utime(it.precious, (1_000_000, 1_000_000))
    before = dict(it.before)
    before["."] = snapshot(it.precious)["."]
    it.before = before
    return None


def _linked_part(it: Stage) -> str | None:
    folder = it.installs / ID
    folder.mkdir(parents=True)
    (folder / f"{FILE_NAME}.part").symlink_to(it.precious / "thesis.state")
    write_record(folder, InstallRecord(REQUEST))
    return None


def _context() -> JobContext:
    return JobContext(lambda _step, _progress: None, threading.Event())


# --- the mark of a folder is none


def _marks() -> Group:
    for name in ("link", "pipe", "empty", "foreign", "copied", "folder", "of another purpose"):
        yield f"the mark is {name}", partial(_mark_is, name)


def _mark_is(kind: str, it: Stage) -> str | None:
    from backends.ownership.mark import NAME, write_mark

    with _workshop_of(it) as workshop:
        genuine = workshop.path / NAME
    it.precious = shutil.move(it.precious, it.installs / "ba9876543210")
    mark = it.precious / NAME
    match kind:
        case "link":
            mark.symlink_to(genuine)
        case "pipe":
            os.mkfifo(mark)
        case "empty":
            mark.touch()
        case "foreign":
            mark.write_text("This folder belongs to another program.")
        case "copied":
            shutil.copy(genuine, mark)
        case "folder":
            mark.mkdir()
        case _:
            from backends.ownership.directory import open_directory

            with open_directory(it.precious) as directory:
                write_mark(directory, "quantizing")
    it.before = snapshot(it.precious)
    it.start()
    return None if not genuine.exists() else "ours was not cleared"


@contextmanager
def _workshop_of(it: Stage) -> Iterator[Any]:
    """One of ours, as a killed application leaves it."""
    from app.jobs.workshop import PURPOSE
    from backends.ownership.workshop import Workshops

    workshop = Workshops(it.installs, PURPOSE).make()
    fill(workshop.path)
    write_record(workshop.path, InstallRecord(REQUEST, {Step.ADD: ()}))
    yield workshop
    workshop.release()


def fill(folder: Path, num_files: int = 40) -> None:
    for number in range(num_files):
        path = folder / "download" / f"part {number % 5}" / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"ours")


# --- models, which a person wants deleted


def _models() -> Group:
    yield "a model that is a link", _model_is_link
    yield "a model below a linked publisher", partial(_model_below_link, "publisher")
    yield "a model below a linked repository", partial(_model_below_link, "repository")
    yield "a repository that becomes a link before the removal", _repository_exchanged
    yield "a checkpoint with links in it", _checkpoint_with_links
    yield "a person's file where a model is to be installed", _model_in_the_way
    yield "a link where a model is to be installed", _link_in_the_way
    yield "the header index is a link to another database", _linked_index
    yield "a log is a link", partial(_log_is, "link")
    yield "a log is a pipe", partial(_log_is, "pipe")


def _store(it: Stage) -> Any:
    from app.library.store import ModelStore

    return ModelStore(it.paths.models)


def _model_is_link(it: Stage) -> str | None:
    target = foreign.gguf(it.precious / "model.gguf")
    it.before = snapshot(it.precious)
    link = it.paths.models / "org" / "repo" / "model.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    store = _store(it)
    store.remove(store.models()[0].id)
    return None if not os.path.lexists(link) else "the link is still there"


def _model_below_link(what: str, it: Stage) -> str | None:
    folder = it.precious / "repo" if what == "publisher" else it.precious
    foreign.gguf(folder / "model.gguf")
    it.before = snapshot(it.precious)
    it.link(it.paths.models / ("org" if what == "publisher" else "org/repo"))
    store = _store(it)
    try:
        for entry in store.models():
            store.remove(entry.id)
    except SlipstreamError:
        return None
    return "nothing was said"


def _repository_exchanged(it: Stage) -> str | None:
    """After the person has agreed, before it is done."""
    foreign.gguf(it.precious / "model.gguf")
    it.before = snapshot(it.precious)
    folder = it.paths.models / "org" / "repo"
    foreign.gguf(folder / "model.gguf")
    store = _store(it)
    removal = store.removal(store.models()[0].id)
    folder.rename(folder.with_name("moved"))
    it.link(folder)
    with suppress(SlipstreamError):
        store.remove_files(removal)
    return None if (folder.with_name("moved") / "model.gguf").exists() else "another folder was emptied"


def _model_in_the_way(it: Stage) -> str | None:
    file = foreign.gguf(it.paths.models / "org" / "repo" / "model.gguf", "mine")
    before = file.read_bytes()
    with suppress(SlipstreamError):
        _store(it).add(foreign.gguf(it.folder / "model.gguf"), publisher="org", repo="repo")
    return None if file.read_bytes() == before else "it was overwritten"


def _link_in_the_way(it: Stage) -> str | None:
    target = foreign.gguf(it.precious / "model.gguf", "mine")
    it.before = snapshot(it.precious)
    link = it.paths.models / "org" / "repo" / "model.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    with suppress(SlipstreamError):
        _store(it).add(foreign.gguf(it.folder / "model.gguf"), publisher="org", repo="repo")
    return None if link.is_symlink() else "the link was overwritten"


def _linked_index(it: Stage) -> str | None:
    import sqlite3

    with sqlite3.connect(it.precious / "addresses.sqlite3") as database:
        database.execute("CREATE TABLE headers (a person's)".replace("'", ""))
    database.close()
    it.before = snapshot(it.precious)
    it.paths.index_file.symlink_to(it.precious / "addresses.sqlite3")
    foreign.gguf(it.paths.models / "org" / "repo" / "model.gguf")
    services = Services(it.paths)
    num_models = len(services.library.models())
    services.close()
    return None if num_models == 1 else f"{num_models} models are listed"


def _log_is(kind: str, it: Stage) -> str | None:
    from app.jobs.convert import plan_quantization

    log = it.paths.logs / "plan.log"
    log.symlink_to(it.precious / "thesis.state") if kind == "link" else os.mkfifo(log)
    try:
        plan_quantization(sources.write_llama(it.folder), "Q4_K_M", logs=it.paths.logs)
    except SlipstreamError as error:
        return f"it was not done: {error}"
    return None


def _checkpoint_with_links(it: Stage) -> str | None:
    from app.library.entry import ModelEntry
    from app.library.library import Library

    folder = it.paths.models / "org" / "repo" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(bytes(100))
    (folder / "letters").symlink_to(it.precious)
    (folder / "thesis.txt").symlink_to(it.precious / "thesis.state")
    services = Services(it.paths)
    library: Library = services.library
    try:
        entry: ModelEntry = next(entry for entry in library.models() if entry.is_checkpoint)
        library.remove(entry.id)
    finally:
        services.close()
    return None if not (folder / "config.json").exists() else "it was not removed"


# --- what is ours goes, and what a person has put elsewhere on purpose goes on working


def _own() -> Group:
    yield "ours is cleared at the start, links in it are not followed", _own_with_links
    yield "ours with a pipe as record is cleared", partial(_own_record_is, "pipe")
    yield "ours with a link as record is cleared", partial(_own_record_is, "link")
    yield "ours with a folder of another disk in it", _mounted
    yield "ours of an earlier version is taken up", _earlier_version
    yield "prompts of an earlier version are kept", _earlier_prompts
    yield "the models' folder is a link to another disk", partial(_linked_by_choice, "models")
    yield "the whole home is a link to another disk", partial(_linked_by_choice, "home")


def _own_with_links(it: Stage) -> str | None:
    with _workshop_of(it) as workshop:
        (workshop.path / "letters").symlink_to(it.precious)
        (workshop.path / "download" / "thesis").symlink_to(it.precious / "thesis.state")
    it.start()
    return None if list(it.installs.iterdir()) == [] else "ours is still there"


def _own_record_is(kind: str, it: Stage) -> str | None:
    with _workshop_of(it) as workshop:
        record = workshop.path / FILE_NAME
        record.unlink()
        if kind == "pipe":
            os.mkfifo(record)
        else:
            record.symlink_to(it.precious / "thesis.state")
    it.start()
    return None if list(it.installs.iterdir()) == [] else "ours is still there"


def _mounted(it: Stage) -> str | None:
    """Where mounting is not allowed, a device that differs stands for it."""
    from backends.ownership import by_handle

    with _workshop_of(it) as workshop:
        inner = workshop.path / "download" / "disk"
        inner.mkdir()
    is_mounted = (
        subprocess.run(["mount", "--bind", it.precious, inner], capture_output=True, check=False).returncode == 0
    )
    real = by_handle._place
    if not is_mounted:
        it.precious = shutil.copytree(it.precious, inner, dirs_exist_ok=True)
        it.before = snapshot(inner)
        device = inner.stat().st_ino
        by_handle._place = lambda handle: (*real(handle), int(os.fstat(handle).st_ino == device))
    try:
        it.start()
        return it.fault()
    finally:
        by_handle._place = real
        if is_mounted:
            subprocess.run(["umount", inner], check=True)


def _earlier_version(it: Stage) -> str | None:
    folder = it.installs / ID
    (folder / "download" / "repo").mkdir(parents=True)
    (folder / "download" / "repo" / "m-Q4_K_M.gguf.part").write_bytes(b"half")
    (folder / "lock").touch()
    (folder / "paused").touch()
    write_record(folder, InstallRecord(REQUEST))
    notices, titles = it.start()
    return None if titles == [REQUEST.title] and not notices else f"{titles}, {notices}"


def _earlier_prompts(it: Stage) -> str | None:
    from backends.prompt_cache.state import State

    store = _open_store(it)
    store.disk.write(State([1] * 100, bytearray(4000)), wait=True)
    store.close()
    for path in it.paths.prompt_cache.iterdir():
        if path.suffix != ".state":
            path.unlink()
    (it.paths.prompt_cache / "tmpabcdefgh.part").touch()
    store = _open_store(it)
    length = store.disk.match([1] * 100)[1] if store.disk else 0
    store.close()
    return None if length == 100 else f"not found again: {store.note}"


def _linked_by_choice(what: str, it: Stage) -> str | None:
    from backends.prompt_cache.state import State

    place, disk = (it.paths.models if what == "models" else it.home), it.folder / "other disk"
    place.rename(disk)
    place.symlink_to(disk, target_is_directory=True)
    with _workshop_of(it):
        pass
    notices, _ = it.start()
    store = _open_store(it)
    is_kept = bool(store.disk and store.disk.write(State([1] * 100, bytearray(4000)), wait=True))
    store.close()
    model = foreign.gguf(it.paths.models / "org" / "repo" / "model.gguf")
    models = _store(it)
    models.remove(models.models()[0].id)
    is_fine = is_kept and not notices and not model.exists() and list(it.installs.iterdir()) == []
    return None if is_fine else f"{notices}, kept: {is_kept}, model: {model.exists()}"


# --- a folder is exchanged while we are at it


def _exchanges() -> Group:
    yield "an install's folder becomes a link after its mark was read", _exchanged_at_the_mark
    yield "an install's folder becomes a link again and again", _exchanged_all_the_time
    yield "a folder in it becomes a link before it is entered", _exchanged_below
    yield "the prompts' folder becomes a link while an engine runs", _exchanged_prompts


def _exchanged_at_the_mark(it: Stage) -> str | None:
    from backends.ownership import workshop as module

    with _workshop_of(it) as ours:
        pass
    real, moved = module.is_marked, it.folder / "moved"

    def then_exchange(directory: Any, purpose: str) -> bool:
        answer = real(directory, purpose)
        if answer and not moved.exists():
            ours.path.rename(moved)
            it.link(ours.path)
        return answer

    module.is_marked = then_exchange
    try:
        it.start()
    finally:
        module.is_marked = real
    return None if ours.path.is_symlink() else "the link is gone"


def _exchanged_all_the_time(it: Stage) -> str | None:
    stop, moved = threading.Event(), it.folder / "moved"

    def exchange(path: Path) -> None:
        while not stop.is_set():
            with suppress(OSError):
                path.rename(moved)
                path.symlink_to(it.precious, target_is_directory=True)
            with suppress(OSError):
                if path.is_symlink():
                    path.unlink()
                moved.rename(path)

    for _ in range(5):
        stop.clear()
        with _workshop_of(it) as ours:
            pass
        thread = threading.Thread(target=exchange, args=(ours.path,))
        thread.start()
        for _ in range(5):
            it.start()
        stop.set()
        thread.join()
        shutil.rmtree(moved, ignore_errors=True)
        if ours.path.is_symlink():
            ours.path.unlink()
        if fault := it.fault():
            return fault
    return None


def _exchanged_below(it: Stage) -> str | None:
    """Between the look at a name and its opening."""
    from backends.ownership.by_handle import HandleDirectory

    with _workshop_of(it) as ours:
        inner = ours.path / "download"
    real = HandleDirectory.child

    def exchange_first(self: HandleDirectory, name: str) -> Any:
        if name == "download" and not inner.is_symlink():
            inner.rename(it.folder / "moved")
            inner.symlink_to(it.precious, target_is_directory=True)
        return real(self, name)

    HandleDirectory.child = exchange_first  # type: ignore[method-assign]
    try:
        it.start()
    finally:
        HandleDirectory.child = real  # type: ignore[method-assign]
    it.start()
    return None if list(it.installs.iterdir()) == [] else "ours is not cleared at the next start"


def _exchanged_prompts(it: Stage) -> str | None:
    from backends.prompt_cache.state import State

    store, folder = _open_store(it), it.paths.prompt_cache
    disk = store.disk
    disk.budget = 12_000
    disk.write(State([1] * 100, bytearray(4000)), wait=True)
    folder.rename(it.folder / "moved")
    it.link(folder)
    for n in range(2, 6):
        disk.write(State([n] * 100, bytearray(4000)), wait=True)
    store.close()
    return None


# --- the application is killed while it removes, or makes and removes


REMOVING = """
import os, sys, time
from pathlib import Path
from backends.ownership.workshop import Workshops
unlink = os.unlink
def slowly(*arguments, **named):
    time.sleep(0.002)
    unlink(*arguments, **named)
os.unlink = slowly
workshops = Workshops(Path(sys.argv[1]), "installs")
(name,) = workshops.names()
workshop = workshops.take(name)
print("go", flush=True)
workshop.remove(first="install.json")
print("done", flush=True)
time.sleep(60)
"""
MAKING = """
import sys
from pathlib import Path
from backends.ownership.workshop import Workshops
from tests.bench.attacks.deletion import fill
workshops = Workshops(Path(sys.argv[1]), "installs")
print("go", flush=True)
while True:
    workshop = workshops.make()
    fill(workshop.path, 8)
    workshop.remove(first="install.json")
"""


def kills(count: int, seed: int = 1) -> Iterator[Case]:
    pick = random.Random(seed)
    for number in range(count):
        program, seconds = (REMOVING, 0.11) if number % 2 else (MAKING, 0.05)
        name = f"kill {number + 1} while it {'removes' if number % 2 else 'makes and removes'}"
        yield Case(name, partial(run, partial(_killed, program, pick.random() * seconds)))


def _killed(program: str, seconds: float, it: Stage) -> str | None:
    it.installs.mkdir()
    it.precious = shutil.move(it.precious, it.installs / "letters")
    it.before = snapshot(it.precious)
    if program == REMOVING:
        with _workshop_of(it):
            pass
    command = [sys.executable, "-c", program, str(it.installs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        if child.stdout.readline() != "go\n":
            return "it did not begin"
        time.sleep(seconds)
        child.kill()
    if fault := it.fault():
        return fault
    it.start()
    left = [path.name for path in it.installs.iterdir()]
    return None if left == ["letters"] else f"left: {left}"
