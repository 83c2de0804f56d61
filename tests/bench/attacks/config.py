"""95 damaged settings, notes, manifests, install records and verdicts: a sentence at once, and a good write after it.

What was damaged lies somewhere still, byte for byte, and what was good in it holds where its format lets it.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.errors import InstallError, ModelFileError
from app.hub.repository import HubFile
from app.inference import preflight
from app.inference.preflight import Preflight, Verdict
from app.jobs.install_record import InstallRecord, Made, Step, read_record, write_record
from app.jobs.install_request import Aim, InstallRequest
from app.library.manifest import Record
from app.library.remarks import Remarks
from app.library.store import ModelStore
from app.settings import Settings
from app.settings_file import SettingsFile
from tests.bench.attacks.alone import alone
from tests.bench.attacks.case import Case
from tests.library import foreign
from tests.means import ODD

DEEP = 200_000
REQUEST = InstallRequest("org/repo", "c" * 40, (HubFile("m-Q4_K_M.gguf", 9, "a" * 64),), Aim.GGUF, "Q4_K_M", None, 1000)
RECORD = InstallRecord(REQUEST, {Step.DOWNLOAD: (Made("m-Q4_K_M.gguf", 9, "a" * 64),)}, "a note")
MODEL = Record("p/r", "m.gguf", "M", 9, "llama", 1000, "Q4_K_M", 4096, None, "2026-01-01T00:00:00+00:00")


def cases() -> Iterator[Case]:
    for kind, attack, contents in (
        ("settings", _attack_settings, SETTINGS),
        ("library", _attack_library, LIBRARY),
        ("manifest", _attack_manifest, MANIFESTS),
        ("install", _attack_install, INSTALLS),
        ("selftest", _attack_selftest, VERDICTS),
    ):
        for name, content in contents.items():
            yield Case(f"{kind} {name}", partial(alone, partial(attack, content)))
        for name, make in ODD.items():
            yield Case(f"{kind} {name}", partial(alone, partial(attack, make)))


Content = bytes | Callable[[Path], None]


def _put(content: Content, path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def _is_kept(content: Content, path: Path) -> bool:
    kept = [each for each in path.parent.glob(f"{path.name}.broken-*") if each != path]
    if not isinstance(content, bytes):
        return any(not each.is_file() or each.is_symlink() for each in path.parent.glob(f"{path.name}.broken-*"))
    return any(each.read_bytes() == content for each in kept)


def _attack_settings(content: Content, folder: Path) -> str | None:
    path = folder / "settings.toml"
    _put(content, path)
    file = SettingsFile(path)
    settings, sentence = file.load()
    if sentence is None:
        return "nothing was said of it"
    is_one_key = isinstance(content, bytes) and content.startswith(b"port = 9001\n")
    if is_one_key and settings.port != 9001:
        return "one odd key has taken the others away"
    file.change(lambda known: replace(known, theme="dark"))
    expected = replace(Settings(theme="dark"), port=9001) if is_one_key else Settings(theme="dark")
    if file.load() != (expected, None):
        return f"the next change is not there: {file.load()}"
    return None if _is_kept(content, path) else "its bytes are gone"


def _attack_library(content: Content, folder: Path) -> str | None:
    path, told = folder / "library.json", []
    _put(content, path)
    remarks = Remarks(path, told.append)
    found = remarks.all()
    if not told:
        return "nothing was said of it"
    has_good = isinstance(content, bytes) and b"/good" in content
    if has_good and found["/good"].note != "kept":
        return "one odd remark has taken the others away"
    for remark in found.values():
        repr(asdict(remark)).encode()
    remarks.change("/new", note="a good write")
    again = Remarks(path, told.append).all()
    if again.get("/new") is None or (has_good and "/good" not in again) or len(told) > 1:
        return f"the next change is not there: {told}"
    return None if _is_kept(content, path) else "its bytes are gone"


def _attack_manifest(content: Content, folder: Path) -> str | None:
    """Its models stand in the list with the reason; the next installation works, unless the future wrote it."""
    store, place = ModelStore(folder / "models"), folder / "models" / "p" / "r"
    path = place / "manifest.json"
    place.mkdir(parents=True)
    foreign.gguf(place / "m.gguf")
    _put(content, path)
    (before,) = store.models()
    if not before.problem or len(before.problem) > 500:
        return f"it was believed, or a page was said: {before.problem}"
    if fault := _unchanged(content, path):
        return fault
    is_newer = content == MANIFESTS["a version to come"]
    try:
        store.add(place / "m.gguf", publisher="p", repo="r")
    except ModelFileError:
        return None if is_newer and not _unchanged(content, path) else "nothing can be installed there any more"
    (after,) = store.models()
    if after.problem or is_newer:
        return f"the next installation is not there: {after.problem}"
    return None if _is_kept(content, path) else "its bytes are gone"


def _attack_install(content: Content, folder: Path) -> str | None:
    path = folder / "install.json"
    _put(content, path)
    try:
        read_record(folder)
        return "it was believed"
    except InstallError as fault:
        if len(str(fault)) > 500:
            return "its sentence is a page long"
    if fault := _unchanged(content, path):
        return fault
    (folder / "next").mkdir()
    write_record(folder / "next", RECORD)
    return None if read_record(folder / "next") == RECORD else "the next write is not there"


def _unchanged(content: Content, path: Path) -> str | None:
    """Who reads only leaves it as it was."""
    is_same = path.read_bytes() == content if isinstance(content, bytes) else path.is_symlink() or path.exists()
    return None if is_same else "reading has changed it"


def _attack_selftest(content: Content, folder: Path) -> str | None:
    """Told to nobody, as it costs nobody anything: the test is made again, and its verdict written."""
    path, asked = folder / "selftest.json", []
    if isinstance(content, bytes):
        content = content.replace(b"KEY", json.dumps(preflight.build_key()).encode())
    _put(content, path)

    class Tested(Preflight):
        def _test(self, *_: object) -> Verdict:
            asked.append(1)
            return Verdict(True, 1.5)

    verdict = Tested(folder, folder).verdict()
    again = Tested(folder, folder).verdict()
    if (verdict, again, len(asked)) != (Verdict(True, 1.5), Verdict(True, 1.5), 1):
        return f"the verdict is {verdict}, then {again}, after {len(asked)} tests"
    return None if isinstance(content, bytes) or _is_kept(content, path) else "what lay there is gone"


def _noise(count: int) -> bytes:
    return random.Random(count).randbytes(count)


SETTINGS: dict[str, Content] = {
    "noise": _noise(5000),
    "half of it": b'version = 1\nport = 9002\nsystem_prompt = "Say',
    "no UTF-8": b'port = 9002\nsystem_prompt = "\xff\xfe"\n',
    "UTF-16": "port = 9002\n".encode("utf-16"),
    "NULs": b"\0" * 4096,
    "a NUL in a value": b'port = 9002\nsystem_prompt = "a\0b"\n',
    "a deep list": b"x = " + b"[" * DEEP,
    "a deep table": b"x = " + b"{x = " * DEEP,
    "a long key": b"a" + b".a" * 100_000 + b" = 1\n",
    "a long key in quotes": b'"a"' + b'."a"' * 60_000 + b" = 1\n",
    "a long heading": b"[a" + b".a" * 100_000 + b"]\n",
    "a long key inside": b"x = {a" + b" . a" * 60_000 + b" = 1}\n",
    "a key twice": b"port = 9002\nport = 9003\n",
    "a table twice": b"[port]\n[port]\n",
    "too large": b"# \n" * 600_000,
    "JSON": b'{"port": 9002}',
    "a number too long": b"port = " + b"9" * 10_000,
    "a date for a number": b"port = 9001\nparallel = 2026-11-29\n",
    "not a number": b"port = 9001\ntemperature = nan\n",
    "without end": b"port = 9001\ntemperature = inf\n",
    "a number too large": b"port = 9001\nprompt_cache_disk = 99999999999999999999\n",
    "a truth for a number": b"port = 9001\nparallel = true\n",
    "a table for a text": b"port = 9001\n[system_prompt]\nx = 1\n",
    "a folder with a NUL": b'port = 9001\nfolders = ["/a\\u0000b"]\n',
    "ten thousand folders": b"port = 9001\nfolders = [" + b'"/a",' * 10_000 + b"]\n",
    "a folder of a list": b"port = 9001\nfolders = [[]]\n",
    "a long key of the port": b'port = 9001\napi_key = "' + b"k" * 5000 + b'"\n',
    "a long prompt": b'port = 9001\nsystem_prompt = "' + b"p" * 500_000 + b'"\n',
}
_MODELS = b'{"version": 1, "models": {"/good": {"note": "kept"}, "/odd": %s}}'
LIBRARY: dict[str, Content] = {
    "noise": _noise(5000),
    "half of it": b'{"version": 1, "models": {"/a": {"no',
    "nothing": b"",
    "a list": b"[]",
    "no UTF-8": b'{"version": 1, "models": {"\xff": {}}}',
    "a deep list": b'{"version": 1, "models": ' + b"[" * DEEP,
    "a deep object": b'{"a":' * DEEP,
    "too large": b" " * (17 << 20),
    "a version to come": b'{"version": 2, "models": {}}',
    "a version of a list": b'{"version": [], "models": {}}',
    "models of a list": b'{"version": 1, "models": [1, 2]}',
    "a note of a number": _MODELS % b'{"note": 7}',
    "a remark of a list": _MODELS % b"[]",
    "a favourite of a text": _MODELS % b'{"is_favourite": "yes"}',
    "a check of a list": _MODELS % b'{"check": []}',
    "a hash of a NUL": _MODELS
    % b'{"check": {"at": "", "is_sound": true, "text": "", "hashes": [{"path": "a\\u0000", "bytes": 1, "mtime_ns": 1,'
    b' "sha256": ""}]}}',
}
_RECORD = json.dumps({"version": 2, "models": [asdict(MODEL)]})


def _changed(document: str, *path: str | int, value: Any) -> bytes:
    result = json.loads(document)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(result).encode()


MANIFESTS: dict[str, Content] = {
    "noise": _noise(5000),
    "half of it": _RECORD[:100].encode(),
    "a deep list": b"[" * DEEP,
    "too large": b" " * (5 << 20),
    "a version to come": _changed(_RECORD, "version", value=9),
    "a way out": _changed(_RECORD, "models", 0, "file", value="../../evil.gguf"),
    "a size of 10^400": _changed(_RECORD, "models", 0, "bytes", value=10**400),
    "a size below nothing": _changed(_RECORD, "models", 0, "bytes", value=-1),
    "parameters of 10^30": _changed(_RECORD, "models", 0, "parameters", value=10**30),
    "a context of a truth": _changed(_RECORD, "models", 0, "context", value=True),
    "half a character": _changed(_RECORD, "models", 0, "id", value="\ud800"),
    "a date that is none": _changed(_RECORD, "models", 0, "added", value="yesterday"),
    "models of a text": _changed(_RECORD, "models", value="x"),
}
_INSTALL = json.dumps({"version": 1, **asdict(RECORD)})
INSTALLS: dict[str, Content] = {
    "noise": _noise(5000),
    "half of it": _INSTALL[:100].encode(),
    "a deep object": b'{"a":' * DEEP,
    "too large": b" " * (5 << 20),
    "a way out": _changed(_INSTALL, "request", "files", 0, "path", value="../../x"),
    "a size of 10^400": _changed(_INSTALL, "request", "files", 0, "bytes", value=10**400),
    "a commit of a list": _changed(_INSTALL, "request", "commit", value=[]),
}
VERDICTS: dict[str, Content] = {
    "noise": _noise(5000),
    "a deep object": b'{"a":' * DEEP,
    "a verdict of a list": b"{KEY: [true, 1.5]}",
    "a verdict of more": b'{KEY: {"extra_buffer_types": true, "flash_cost": 1.5, "more": 1}}',
    "a cost that is no number": b'{KEY: {"extra_buffer_types": true, "flash_cost": NaN}}',
    "a truth of a text": b'{KEY: {"extra_buffer_types": "no", "flash_cost": 1.5}}',
}
