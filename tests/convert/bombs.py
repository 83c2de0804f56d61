"""Checkpoints whose numbers are bombs: every setting that is read, with every odd value, and the child they go off in.

A case is a change to a folder with a sound checkpoint. What must come of it: one sentence, or a file that can be
loaded; in MAX_SECONDS, and MAX_BYTES of memory beyond what the interpreter takes.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.convert import tiny

MAX_SECONDS = 2.0
MAX_BYTES = 300 << 20
LENGTH = 500  # characters of a sentence
MEGABYTE = "x" * (1 << 20)
INFINITE = "1e999"  # JSON without a name for it; Python makes an infinite number of it
VALUES: dict[str, Any] = {
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "1e9": 10**9,
    "2**31": 2**31,
    "2**63": 2**63,
    "10**400": 10**400,
    "1e-30": 1e-30,
    "1e30": 1e30,
    "1e308": 1e308,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "1e999": INFINITE,
    "true": True,
    "text": "8",
    "null": None,
    "list": [1],
    "list of texts": ["a"],
    "table": {},
    "table of tables": {"0": {"head_dim": 10**9}, "1": 5},
    "a megabyte": MEGABYTE,
    "a long list": [1] * 100_000,
    "deep": json.loads("[" * 400 + "]" * 400),
}
FILES = "files"
Keys = tuple[str, ...]  # a key, or the keys of tables in each other


class Watched(dict[str, Any]):
    """A table that remembers which of its keys somebody asked for."""

    def __init__(self, values: Mapping[str, Any], read: set[Keys], above: Keys = ()):
        inner = {k: Watched(v, read, (*above, k)) if isinstance(v, dict) else v for k, v in values.items()}
        super().__init__(inner)
        self._read, self._above = read, above

    def __getitem__(self, key: str) -> Any:
        self._read.add((*self._above, key))
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add((*self._above, key))
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._read.add((*self._above, str(key)))
        return super().__contains__(key)


def keys_of(name: str) -> list[Keys]:
    """What the converter reads of config.json for this architecture, as it reads it today."""
    from backends.convert import settings
    from backends.convert.converter import convert

    read: set[Keys] = set()
    values = tiny.settings(name)
    merged = settings._merged
    settings._merged = lambda architecture, raw: Watched(merged(architecture, raw), read)  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory(prefix="bombs-") as folder:
            tiny.write(name, Path(folder) / "checkpoint")
            convert(lambda _: None, Path(folder) / "checkpoint", Path(folder) / "model.gguf", "f16")
    finally:
        settings._merged = merged
    written = {(key,) for key in values} | {
        (key, inner) for key, table in values.items() if isinstance(table, dict) for inner in table
    }
    return sorted(read | written)


def named() -> Iterator[str]:
    """Every case: "architecture/key.inner=value"."""
    for name in tiny.SETTINGS:
        for keys in keys_of(name):
            for value in VALUES:
                yield f"{name}/{'.'.join(keys)}={value}"


def config_text(name: str, keys: Keys, value: Any) -> str:
    values = tiny.settings(name)
    table = values
    for key in keys[:-1]:
        table[key] = dict(table.get(key) or {})
        table = table[key]
    table[keys[-1]] = value
    return json.dumps(values).replace(f'"{INFINITE}"', INFINITE)


def change(case: str, folder: Path) -> None:
    """Puts the case's config.json into the folder."""
    name, _, rest = case.partition("/")
    keys, _, value = rest.partition("=")
    (folder / "config.json").write_text(config_text(name, tuple(keys.split(".")), VALUES[value]), "utf-8")


def files() -> Iterator[str]:
    """Every case of a file that is no config.json: "files/what"."""
    from tests.convert import file_bombs

    yield from (f"{FILES}/{name}" for name in file_bombs.cases())


def prepared(case: str, root: Path) -> Path:
    """The folder with what the case is about."""
    from tests.convert import file_bombs

    name, _, what = case.partition("/")
    if name != FILES:
        change(case, root / name)
        return root / name
    shutil.rmtree(root / "copy", ignore_errors=True)
    shutil.copytree(root / FILES, root / "copy")
    file_bombs.cases()[what](root / "copy")
    return root / "copy"


def outcome(folder: Path, target: Path) -> str | None:
    """Converts and says what is wrong with how that ended; None: nothing is."""
    from backends.child import Refusal
    from backends.convert.converter import convert
    from backends.formats import FormatError
    from backends.formats.gguf_loadable import check_loadable

    target.unlink(missing_ok=True)
    try:
        convert(lambda _: None, folder, target, "f16")
    except Refusal as refusal:
        sentence = str(refusal)
        sentence.encode()  # can be shown
        if len(sentence) > LENGTH or "\n" in sentence or not sentence.endswith("."):
            return f"no sentence of {len(sentence)} characters: {sentence[:80]!r}"
        return "a refusal left a file" if any(target.parent.glob(f"{target.name}*")) else None
    try:
        check_loadable(target)
    except FormatError as fault:
        return f"made a file that cannot be loaded: {fault}"
    return None


class Late(BaseException):
    """Beyond MAX_SECONDS."""


def guarded(attack: Callable[[], str | None]) -> str | None:
    """Within the time of one processor, whatever comes."""

    def late(*_: object) -> None:
        raise Late

    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)  # of this process, whatever else the machine does
    signal.setitimer(signal.ITIMER_REAL, 20 * MAX_SECONDS)
    try:
        fault = attack()
    except Late:
        fault = f"not done after {MAX_SECONDS} s"
    except BaseException as error:  # whatever it is, a converter must not raise it
        fault = f"{type(error).__name__}: {str(error)[:120]}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return fault


def limit_memory() -> None:
    base = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (base + MAX_BYTES, base + MAX_BYTES))


def run(cases: list[str], kept: Path | None = None, native: int = 0) -> dict[str, str | None]:
    """Each case in a child for all of them; a case that ends the child is a fault of its own, and the rest goes on.

    kept: a folder for every `native`-th file that came of a case, so that somebody can load it.
    """
    results: dict[str, str | None] = {}
    left = list(cases)
    while left:
        command = [sys.executable, "-m", "tests.convert.bombs", "--keep", str(kept or ""), "--every", str(native)]
        done = subprocess.run(command, input=json.dumps(left), capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            results |= json.loads(line)
        left = [case for case in left if case not in results]
        if left:
            results[left[0]] = f"ended the process ({done.returncode}): {done.stderr[-200:]}"
            left = left[1:]
    return results


def main() -> int:
    """The child: cases on stdin, one line of JSON for each on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", default="")
    parser.add_argument("--every", type=int, default=0)
    arguments = parser.parse_args()
    cases: list[str] = json.loads(sys.stdin.read())
    with tempfile.TemporaryDirectory(prefix="bombs-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as at:
        root, num_made = Path(at), 0
        (root / "out").mkdir()
        for name in dict.fromkeys(case.partition("/")[0] for case in cases):
            tiny.write("LlamaForCausalLM" if name == FILES else name, root / name)
        outcome(root / cases[0].partition("/")[0], root / "out" / "model.gguf")  # imports everything
        limit_memory()
        for case in cases:
            folder, target = prepared(case, root), root / "out" / "model.gguf"
            fault = guarded(partial(outcome, folder, target))
            print(json.dumps({case: fault}), flush=True)
            if fault is None and target.exists():
                num_made += 1
                if arguments.keep and arguments.every and num_made % arguments.every == 0:
                    shutil.move(target, Path(arguments.keep) / f"{num_made}-{os.getpid()}.gguf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
