"""Odd things that may lie on a disk, each beside sound models of every application. What the list must say of each.

Used by `test_oddities` against the library, and by `tests.bench.attacks.library` against terminal, port and window.
"""

import json
import os
import re
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.library.entry import ModelEntry
from backends.bounds import MAX_NAME, MAX_SENTENCE
from tests.library import foreign
from tests.library.gguf_bytes import SETTINGS, STRING, header, model, text

U32, I32, F32, BOOL, ARRAY, U64, I64, F64 = 4, 5, 6, 7, 9, 10, 11, 12
PACK = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", I64: "<q", F64: "<d"}
ESCAPES = "a\x1b[2J\x1b]0;owned\x07\nb\u202egnp.exe\x9b31m\x7f"
NOBODY = 65534
NO_UTF8 = os.fsdecode(b"caf\xe9\xff")  # as Latin-1 wrote it
LONG = "n" * 1_000_000
JAN = ".local/share/Jan"
HUB = ".cache/huggingface/hub"
OLLAMA = ".ollama/models"
SOUND = {"good", "p/good", "org/good/lm", "good:latest", "jan-good", "acme/good/hf"}


@dataclass(frozen=True, slots=True)
class Oddity:
    """make: lays it into a home. says: a pattern that a problem or a notice must match; None: nothing is the matter,
    and id, if given, is listed. environ and folders: what the application is told besides."""

    name: str
    make: Callable[[Path], object]
    says: str | None = None
    id: str | None = None
    environ: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    is_forbidden: bool = False  # only to be seen by somebody who is not root


def sound(home: Path) -> None:
    """One model of everybody: SOUND."""
    foreign.gguf(home / "f" / "good.gguf")
    foreign.gguf(home / "managed" / "p" / "good" / "good.gguf")
    foreign.gguf(home / ".lmstudio" / "models" / "org" / "good" / "lm.gguf")
    foreign.ollama(home / OLLAMA, "good:latest")
    foreign.gguf(home / JAN / "data" / "llamacpp" / "models" / "jan-good.gguf")
    foreign.hf_cache(home / HUB, "acme/good", {"hf.gguf": model()})


@contextmanager
def new_home() -> Iterator[Path]:
    """With SOUND in it; another person of this machine can reach it as well."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        sound(Path(folder))
        try:
            yield Path(folder)
        finally:
            for path in Path(folder).glob("f/locked"):
                path.chmod(0o700)


@contextmanager
def as_somebody(home: Path, is_needed: bool = True) -> Iterator[None]:
    """Nothing is forbidden to root. Whatever is imported meanwhile must be readable to everybody."""
    if not is_needed or os.geteuid():
        yield
        return
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def check(oddity: Oddity, entries: Sequence[ModelEntry], notices: Sequence[str]) -> None:
    """Raises AssertionError unless all stands, the odd one says why, and every text can be shown, stored and sent."""
    known = {entry.id: entry for entry in entries}
    missing = {id_ for id_ in sound_ids(oddity) if id_ not in known or not known[id_].is_read}
    assert not missing, missing
    reasons = [*notices, *(entry.problem for entry in entries if entry.problem)]
    if oddity.says is not None:
        assert any(re.search(oddity.says, reason) for reason in reasons), reasons
    if oddity.id is not None:
        assert oddity.id in known, list(known)
    for said in (*notices, *(each for entry in entries for each in texts(entry))):
        assert said.isprintable(), ascii(said[:300])
        assert len(said) <= MAX_SENTENCE, said[:300]


def sound_ids(oddity: Oddity) -> set[str]:
    is_elsewhere = "OLLAMA_MODELS" in oddity.environ or "HF_HOME" in oddity.environ
    return SOUND - {"good:latest", "acme/good/hf"} if is_elsewhere else SOUND


def texts(entry: ModelEntry) -> tuple[str, ...]:
    assert len(entry.name) <= MAX_NAME
    optional = (entry.problem, entry.source, entry.sha256)
    return (entry.id, entry.name, entry.architecture, entry.quantization, *filter(None, optional))


def oddities() -> Iterator[Oddity]:
    yield from in_headers()
    yield from in_checkpoints()
    yield from in_ollama()
    yield from among_files()
    yield from in_jan_and_lm_studio()
    yield from in_hf_cache()
    yield from in_the_managed_folder()


def in_headers() -> Iterator[Oddity]:
    impossible = {
        "2^63": (U64, 2**63),
        "2^64-1": (U64, 2**64 - 1),
        "2^40": (U64, 2**40),
        "-1": (I32, -1),
        "-2^63": (I64, -(2**63)),
        "0": (U32, 0),
        "nan": (F32, float("nan")),
        "inf": (F64, float("inf")),
        "1e30": (F64, 1e30),
        "true": (BOOL, True),
        "text": (STRING, "4096"),
        "long text": (STRING, LONG),
        "list": (ARRAY, [1] * 900),
    }
    for name, (kind, value) in impossible.items():
        yield Oddity(
            f"context_length {name}", _with("llama.context_length", kind, value), "context_length is .*no model"
        )
    for key in ("block_count", "embedding_length"):
        yield Oddity(f"{key} 2^63", _with(f"llama.{key}", U64, 2**63), f"{key} is 9223372036854775808")
    yield Oddity("general.name of 1 MB", _with("general.name", STRING, LONG), None, "odd")
    yield Oddity("general.name with escapes", _with("general.name", STRING, ESCAPES), None, "odd")
    yield Oddity("general.name no UTF-8", _with("general.name", STRING, b"\xed\xa0\x80\xff"), None, "odd")
    yield Oddity("general.name a list", _with("general.name", ARRAY, [1, 2]), None, "odd")
    yield Oddity("architecture of 1 MB", _with("general.architecture", STRING, LONG), "has the architecture")
    yield Oddity("architecture with escapes", _with("general.architecture", STRING, ESCAPES), "has the architecture")
    yield Oddity("file_type 2^63", _with("general.file_type", U64, 2**63), None, "odd")
    yield Oddity("alignment 2^63", _with("general.alignment", U64, 2**63), "alignment")
    yield Oddity("alignment of 1 MB", _with("general.alignment", STRING, LONG), "alignment")
    yield Oddity("split.count 2^63", _with("split.count", U64, 2**63), "is one of 9223372036854775808 parts")
    yield Oddity("split.count of 1 MB", _with("split.count", STRING, LONG), "is one of .* parts")
    yield Oddity("2^64-1 tensors", _gguf(header(num_tensors=2**64 - 1)), "are announced")
    escaped = header(settings={}, num_settings=2, raw=(text(ESCAPES) + struct.pack("<II", U32, 1)) * 2)
    yield Oddity("a setting with escapes, twice", _gguf(escaped), "occurs twice")
    yield Oddity("a tensor with escapes", _gguf(model(tensors=[(ESCAPES, [64], 99)])), "unknown type")


def in_checkpoints() -> Iterator[Oddity]:
    for name, value in {
        "1e30": "1e30",
        "10^30": "1" + "0" * 30,
        "-1": "-1",
        "0": "0",
        "nan": "NaN",
        "inf": "Infinity",
        "true": "true",
        "text": '"4096"',
        "list": "[4096]",
        "2^63": str(2**63),
    }.items():
        config = f'{{"model_type": "llama", "max_position_embeddings": {value}}}'
        yield Oddity(f"max_position_embeddings {name}", _checkpoint(config), "max_position_embeddings is .*no model")
    for name, value in {
        "a surrogate": r'"\ud800"',
        "1 MB": json.dumps(LONG),
        "a dict": '{"a": 1}',
        "escapes": json.dumps(ESCAPES),
        "a number": "7",
    }.items():
        yield Oddity(f"model_type {name}", _checkpoint(f'{{"model_type": {value}}}'), "model_type is .*no model")
    yield Oddity("dtype a dict", _checkpoint('{"model_type": "llama", "dtype": {"a": 1}}'), None, "odd")
    yield Oddity("config of 5,000 digits", _checkpoint('{"a": ' + "9" * 5000 + "}"), "cannot be read")
    yield Oddity("config 100,000 deep", _checkpoint('{"a": ' * 100_000), "cannot be read")
    yield Oddity("config no UTF-8", _checkpoint(b'{"model_type": "\xff\xfe"}'), "cannot be read")

    def pipe(home: Path) -> None:
        _checkpoint("{}")(home)
        (home / "f" / "odd" / "config.json").unlink()
        os.mkfifo(home / "f" / "odd" / "config.json")

    yield Oddity("config.json a pipe", pipe, "cannot be read")

    def lost(home: Path) -> None:
        _checkpoint('{"model_type": "llama"}')(home)
        (home / "f" / "odd" / "model-2.safetensors").symlink_to("nowhere")

    yield Oddity("weights a link to nowhere", lost, "model-2.safetensors .*link to a file that is not there")


def in_ollama() -> Iterator[Oddity]:
    for name, size in {
        "10^30": "1" + "0" * 30,
        "2^63": str(2**63),
        "-1": "-1",
        "text": '"big"',
        "1e30": "1e30",
    }.items():
        for is_there in (True, False):
            where = "" if is_there else ", blob missing"
            yield Oddity(f"layer size {name}{where}", _ollama(size, is_there), "a size that no file has")
    for name, layers in {
        "a path": '[{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../../etc/passwd"}]',
        "a list": '[{"mediaType": "application/vnd.ollama.image.model", "digest": []}]',
    }.items():
        yield Oddity(f"digest {name}", _manifest(f'{{"layers": {layers}}}'), "odd:latest .*cannot be understood")
    for name, content in {
        "no JSON": "GIF89a",
        "empty": "",
        "layers a number": '{"layers": 7}',
        "layers strange": '{"layers": [1, null, {"mediaType": {}, "digest": 3}]}',
        "100,000 deep": "[" * 100_000,
    }.items():
        yield Oddity(f"manifest {name}", _manifest(content), "odd:latest .*cannot be understood")
    yield Oddity("manifest a pipe", _manifest(None), "odd:latest .*cannot be understood")
    yield Oddity("tag with escapes", lambda home: foreign.ollama(home / OLLAMA, f"odd:{ESCAPES}".replace("/", "")))
    yield Oddity(
        "tag no UTF-8", lambda home: foreign.ollama(home / OLLAMA, f"odd:{NO_UTF8}", model()), None, r"odd:caf\xe9\xff"
    )

    def texts(home: Path) -> None:
        foreign.ollama(home / OLLAMA, "odd:latest", template=ESCAPES * 10_000, system="\0" * 9000)

    yield Oddity("template with escapes", texts, None, "odd:latest")


def among_files() -> Iterator[Oddity]:
    year = 365.2425 * 86400
    for name, seconds in {"2500": 530 * year, "2300": 330 * year, "1601": -369 * year}.items():
        yield Oddity(f"time in the year {name}", _dated(int(seconds)), None, "odd")
    for name, odd in {
        "no UTF-8": NO_UTF8,
        "escapes": ESCAPES.replace("/", ""),
        "255 bytes": "n" * 250,
        "a mark-up": "<b>bold</b><img src=x>",
        "quotes and spaces": " '\"$(x) ",
    }.items():
        yield Oddity(f"file name {name}", lambda home, odd=odd: foreign.gguf(home / "f" / f"{odd}.gguf"))
        yield Oddity(f"folder name {name}", lambda home, odd=odd: foreign.gguf(home / "f" / odd / "in.gguf"))
    yield Oddity("ln -s x x", lambda home: (home / "f" / "x").symlink_to("x"), "f/x .*(loop|circle)")
    yield Oddity("ln -s x.gguf x.gguf", lambda home: (home / "f" / "x.gguf").symlink_to("x.gguf"), "circle", "x")
    yield Oddity("a link to nowhere", lambda home: (home / "f" / "x.gguf").symlink_to("gone"), "is not there", "x")
    yield Oddity("a pipe", lambda home: os.mkfifo(home / "f" / "x.gguf"), "no file but a device, a pipe", "x")
    yield Oddity("a device", lambda home: (home / "f" / "x.gguf").symlink_to("/dev/zero"), "no file but a device", "x")
    yield Oddity("a socket", _socket, "no file but a device, a pipe|cannot be read", "x")
    yield Oddity(
        "a folder named model.gguf", lambda home: foreign.gguf(home / "f" / "x.gguf" / "in.gguf"), None, "x.gguf/in"
    )
    yield Oddity("an empty file", lambda home: (home / "f" / "x.gguf").touch(), "is empty", "x")
    yield Oddity("no permission for a folder", _locked_folder, "f/locked .*Permission denied", is_forbidden=True)
    yield Oddity("no permission for a file", _locked_file, "cannot be read: Permission denied", "x", is_forbidden=True)
    yield Oddity("a file half written", _half, "is cut short", "x")
    yield Oddity("40 folders deep", _deep)
    yield Oddity("an added folder is gone", lambda _: None, "away .*not there", folders=("away",))
    yield Oddity("an added folder is a circle", lambda home: (home / "o").symlink_to("o"), "/o .*", folders=("o",))
    yield Oddity("an added folder is a file", lambda home: (home / "o").touch(), "/o .*no folder", folders=("o",))
    yield Oddity("a part that is a pipe", _pipe_part, "no file but a device")


def in_jan_and_lm_studio() -> Iterator[Oddity]:
    for name, yml in {
        "a path with NUL": "model_path: a\0b.gguf\n",
        "a path of 1 MB": f"model_path: {LONG}\n",
        "a path to a device": "model_path: /dev/zero\n",
        "no UTF-8": b"model_path: \xff\xfe\nname: \xff\n",
        "no YAML": ":::\n- - -\n\t- x\n%%%",
        "files a bomb": "files:\n" + "- a\n" * 100_000,
    }.items():
        yield Oddity(f"model.yml {name}", _jan(yml))
    for name, title in {"1 MB": LONG, "escapes": ESCAPES.replace("\n", "")}.items():
        yield Oddity(f"model.yml name {name}", _jan(f"name: {title}\nmodel_path: model.gguf\n", True), None, "odd")
    for name, document in {
        "a surrogate": r'{"name": "\ud800", "sources": [{"filename": "\ud800.gguf"}]}',
        "NUL": r'{"name": "x", "sources": [{"filename": "a\u0000b.gguf"}]}',
        "strange": '{"name": {}, "sources": [{"filename": 7}]}',
        "a surrogate as a name": r'{"name": "\ud800", "sources": [{"filename": "model.gguf"}]}',
    }.items():
        yield Oddity(f"model.json {name}", _jan(document, True, "model.json"))
    strange = {
        "NUL": r'"a\u0000b"',
        "a surrogate": r'"/\ud800"',
        "a number": "7",
        "1 MB": json.dumps(f"/{LONG}"),
        "relative": '"."',
    }
    for name, value in strange.items():
        yield Oddity(
            f"LM Studio's folder {name}", _document(".lmstudio/settings.json", f'{{"downloadsFolder": {value}}}')
        )
        yield Oddity(f"Jan's folder {name}", _document(f"{JAN}/settings.json", f'{{"data_folder": {value}}}'))
    yield Oddity("LM Studio's pointer NUL", _document(".lmstudio-home-pointer", "/a\0b"))
    yield Oddity("OLLAMA_MODELS of nobody", _document("x", ""), environ={"OLLAMA_MODELS": "~no-such-person/x"})
    yield Oddity("HF_HOME of nobody", _document("x", ""), environ={"HF_HOME": "~no-such-person/x"})


def in_hf_cache() -> Iterator[Oddity]:
    def refs(content: bytes | None) -> Callable[[Path], None]:
        def make(home: Path) -> None:
            foreign.hf_cache(home / HUB, "acme/odd", {"odd.gguf": model()})
            main = home / HUB / "models--acme--odd" / "refs" / "main"
            main.unlink()
            os.mkfifo(main) if content is None else main.write_bytes(content)

        return make

    for name, content in {"a pipe": None, "1 MB": b"x" * 1_000_000, "no UTF-8": b"\xff\0", "a path": b"../.."}.items():
        yield Oddity(f"refs/main {name}", refs(content), None, "acme/odd/odd")

    def snapshot(commit: str) -> Callable[[Path], object]:
        def make(home: Path) -> None:
            folder = foreign.hf_cache(home / HUB, "acme/odd", {"odd.gguf": model()})
            folder.rename(folder.with_name(commit))

        return make

    yield Oddity("commit no UTF-8", snapshot(NO_UTF8), None, "acme/odd/odd")
    yield Oddity("commit with escapes", snapshot("\x1b[2Jabc"), None, "acme/odd/odd")

    def loop(home: Path) -> None:
        (foreign.hf_cache(home / HUB, "acme/odd", {"odd.gguf": model()}) / "x").symlink_to("x")

    yield Oddity("a circle in a snapshot", loop, "/x .*(loop|circle)", "acme/odd/odd")

    def lost(home: Path) -> None:
        (foreign.hf_cache(home / HUB, "acme/odd", {"odd.gguf": model()}) / "odd.gguf").resolve().unlink()

    yield Oddity("a blob is gone", lost, "link to a file that is not there", "acme/odd/odd")

    def named(name: str) -> Callable[[Path], None]:
        def make(home: Path) -> None:
            foreign.hf_cache(home / HUB, "acme/odd", {"odd.gguf": model()})
            (home / HUB / "models--acme--odd").rename(home / HUB / name)

        return make

    yield Oddity("a repository without a name", named("models--"), None, "models--/odd")
    yield Oddity("a repository no UTF-8", named(f"models--{NO_UTF8}"), None, r"caf\xe9\xff/odd")
    yield Oddity("snapshots a file", _document(f"{HUB}/models--acme--odd/snapshots", ""))
    yield Oddity(
        "a repository is a circle",
        lambda home: (home / HUB / "models--a--x").symlink_to("models--a--x"),
        "models--a--x",
    )


def in_the_managed_folder() -> Iterator[Oddity]:
    sane: dict[str, Any] = {
        "id": "p/odd",
        "file": "odd.gguf",
        "name": "odd",
        "bytes": len(model(settings=foreign.SMALL)),
        "architecture": "llama",
        "parameters": 1,
        "quantization": "F16",
        "context": 4096,
        "draft": None,
        "added": "2026-01-01T00:00:00+00:00",
    }

    def manifest(content: str | None) -> Callable[[Path], None]:
        def make(home: Path) -> None:
            foreign.gguf(home / "managed" / "p" / "odd" / "odd.gguf")
            path = home / "managed" / "p" / "odd" / "manifest.json"
            os.mkfifo(path) if content is None else path.write_text(content)

        return make

    def one(**changes: Any) -> Callable[[Path], None]:
        return manifest(json.dumps({"version": 2, "models": [{**sane, **changes}]}))

    yield Oddity("manifest.json a pipe", manifest(None), "manifest.json .*(damaged|not a file)", "p/odd")
    yield Oddity("manifest.json 100,000 deep", manifest("[" * 100_000), "is damaged", "p/odd")
    yield Oddity("manifest.json a list", manifest("[]"), "is damaged", "p/odd")
    for key, values in {
        "id": ("\ud800", LONG, ESCAPES, ""),
        "architecture": ("\ud800", LONG),
        "quantization": ("\ud800", LONG),
        "bytes": (10**30, -1),
        "context": (10**30, -1, 2**63),
        "parameters": (10**30, -1),
        "added": ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
        "source": ("\ud800", LONG),
        "sha256": ("\ud800", LONG),
    }.items():
        for value in values:
            shown = "1 MB" if value == LONG else ascii(value)[:24]
            yield Oddity(f"manifest {key} {shown}", one(**{key: value}), "manifest.json is damaged", "p/odd")
    for name, title in {"a surrogate": "\ud800", "1 MB": LONG, "escapes": ESCAPES, "empty": ""}.items():
        yield Oddity(f"manifest name {name}", one(name=title), None, "p/odd")
    yield Oddity(
        "ln -s x x in the library", lambda home: (home / "managed" / "x").symlink_to("x"), "/x .*(loop|circle)"
    )
    odd = f"{NO_UTF8}\x1b[2J"
    yield Oddity("a publisher no UTF-8", lambda home: foreign.gguf(home / "managed" / odd / "r" / "m.gguf"))


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        raw = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<IQ", STRING, len(raw)) + raw
    if kind == ARRAY:
        return struct.pack("<IIQ", ARRAY, U32, len(value)) + b"".join(struct.pack("<I", each) for each in value)
    return struct.pack("<I", kind) + struct.pack(PACK[kind], value)


def _with(key: str, kind: int, value: Any) -> Callable[[Path], object]:
    """A sound model but for one setting."""
    settings = {k: v for k, v in {**SETTINGS, "tokenizer.ggml.tokens": ["a"]}.items() if k != key}
    return _gguf(model(settings=settings, raw=text(key) + _value(kind, value)))


def _gguf(content: bytes) -> Callable[[Path], object]:
    return lambda home: (home / "f" / "odd.gguf").write_bytes(content)


def _checkpoint(config: str | bytes) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        folder = home / "f" / "odd"
        folder.mkdir(parents=True)
        (folder / "config.json").write_bytes(config if isinstance(config, bytes) else config.encode())
        (folder / "model.safetensors").write_bytes(b"x" * 99)

    return make


def _ollama(size: str, is_there: bool) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        blob = foreign.ollama(home / OLLAMA, "odd:latest", model(settings={**foreign.SMALL, "general.name": "odd"}))
        path = home / OLLAMA / "manifests" / "registry.ollama.ai" / "library" / "odd" / "latest"
        path.write_text(path.read_text().replace(f'"size": {blob.stat().st_size}', f'"size": {size}'))
        if not is_there:
            blob.unlink()

    return make


def _manifest(content: str | None) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        path = home / OLLAMA / "manifests" / "registry.ollama.ai" / "library" / "odd" / "latest"
        path.parent.mkdir(parents=True)
        os.mkfifo(path) if content is None else path.write_text(content)

    return make


def _dated(seconds: int) -> Callable[[Path], None]:
    return lambda home: os.utime(foreign.gguf(home / "f" / "odd.gguf"), (seconds, seconds))


def _socket(home: Path) -> None:
    before = os.getcwd()
    os.chdir(home / "f")  # a socket's path has a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as it:
            it.bind("x.gguf")
    finally:
        os.chdir(before)


def _locked_folder(home: Path) -> None:
    foreign.gguf(home / "f" / "locked" / "in.gguf")
    (home / "f" / "locked").chmod(0)


def _locked_file(home: Path) -> None:
    foreign.gguf(home / "f" / "x.gguf").chmod(0)


def _half(home: Path) -> None:
    path = foreign.gguf(home / "f" / "x.gguf")
    os.truncate(path, path.stat().st_size - 100)


def _deep(home: Path) -> None:
    folder = home.joinpath("f", *("d" for _ in range(40)))
    folder.mkdir(parents=True)
    foreign.gguf(folder / "x.gguf")


def _pipe_part(home: Path) -> None:
    path = foreign.parts(home / "f", "big", 2)[1]
    path.unlink()
    os.mkfifo(path)


def _jan(content: str | bytes, has_model: bool = False, name: str = "model.yml") -> Callable[[Path], None]:
    def make(home: Path) -> None:
        folder = home / JAN / "data" / "llamacpp" / "models" / "odd"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if has_model:
            foreign.gguf(folder / "model.gguf")

    return make


def _document(name: str, content: str) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)

    return make
