"""Spoilt GGUF headers, by the hundred thousand: `python -m tests.bench.fuzz_gguf --count 100000`.

Our reader must say one sentence in under a second and 200 MB to each; and what it lets pass, llama.cpp must survive:
every file of a sample is loaded, tokenised with and run for one step in a process of its own.
A run that begins where the last one stopped (`--from`) adds to its results.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
MEMORY_BYTES = 200 << 20  # beyond what the interpreter takes before the first file
HANG_SECONDS = 1.0
NATIVE_SECONDS = 5
PIECE = 2500
KEPT = 20  # so many sentences are kept of each kind


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--from", type=int, default=0, dest="start", help="number of the first mutant")
    parser.add_argument("--sample", type=int, default=10, help="every so many accepted files are loaded natively")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after the piece in which they are over")
    parser.add_argument("--keep", type=Path, help="folder for files that a native load died of")
    parser.add_argument("--dry", action="store_true", help="leave the results on file alone")
    parser.add_argument("--child", choices=("read", "load"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.child == "read":
        return read_mutants(arguments.start, arguments.count, arguments.sample, arguments.folder)
    if arguments.child == "load":
        return load_files(arguments.folder)
    report = run(arguments.start, arguments.count, arguments.sample, arguments.seconds, arguments.keep)
    if not arguments.dry:
        report = together(report)
        save(report)
    print(json.dumps({key: value for key, value in report.items() if key != "sentences"}, indent=2))
    return 1 if report["crashes"] or report["hangs"] or report["native_deaths"] else 0


def run(start: int, count: int, sample: int, seconds: float, keep: Path | None) -> dict[str, Any]:
    began, total = time.monotonic(), Counter[str]()
    slowest, memory, sentences, deaths = 0.0, 0, Counter[str](), []
    at = start
    while at < start + count and time.monotonic() - began < seconds:
        piece = min(PIECE, start + count - at)
        with tempfile.TemporaryDirectory(prefix="fuzz-gguf-", dir=_memory_folder()) as name:
            folder = Path(name)
            read = _child("read", folder, "--from", str(at), "--count", str(piece), "--sample", str(sample))
            total.update({key: read[key] for key in ("mutants", "accepted", "hangs", "crashes")})
            slowest, memory = max(slowest, read["slowest_ms"]), max(memory, read["memory_bytes"])
            sentences.update(read["sentences"])
            native = _child("load", folder)
            total["native_loads"] += native["loads"]
            total["native_refusals"] += native["refusals"]
            for death in native["deaths"]:
                deaths.append(death)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / death["file"]).write_bytes((folder / death["file"]).read_bytes())
        at += piece
        print(f"{at - start:,} of {count:,}: {dict(total)}, {len(deaths)} died", file=sys.stderr, flush=True)
    return {
        "start": start,
        "mutants": total["mutants"],
        "accepted": total["accepted"],
        "crashes": total["crashes"],
        "hangs": total["hangs"],
        "slowest_ms": round(slowest, 1),
        "memory_mb": round(memory / 1e6, 1),
        "native_loads": total["native_loads"],
        "native_refusals": total["native_refusals"],
        "native_deaths": deaths,
        "seconds": round(time.monotonic() - began),
        "sentences": dict(sentences.most_common()),
    }


def _child(kind: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What the child reports; a reader that dies, by memory or otherwise, is a crash."""
    command = [sys.executable, "-m", "tests.bench.fuzz_gguf", "--child", kind, "--folder", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"the {kind} child ended with {done.returncode}:\n{done.stderr[-4000:]}") from None
    return report


class Hang(Exception):
    pass


def read_mutants(start: int, count: int, sample: int, folder: Path) -> int:
    """Runs in a child: every mutant through the reader, accepted ones of the sample left in the folder."""
    from backends.formats import FormatError
    from backends.formats.gguf_loadable import check_loadable
    from tests.library.gguf_mutants import mutant

    base = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (base + MEMORY_BYTES, base + MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _hang)
    report: Counter[str] = Counter(mutants=0, accepted=0, hangs=0, crashes=0)
    sentences: Counter[str] = Counter()
    slowest = 0.0
    for number in range(start, start + count):
        raw, data_bytes = mutant(random.Random(number))
        path = folder / f"mutant-{number}.gguf"
        path.write_bytes(raw)
        os.truncate(path, -(-len(raw) // 32) * 32 + data_bytes)  # weights of zeros, which take no room
        report["mutants"] += 1
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        is_accepted = False
        try:
            check_loadable(path)
            is_accepted = True
        except FormatError as fault:
            sentences[_kind(str(fault), path.name)] += 1
        except Hang:
            report["hangs"] += 1
            sentences[f"HANG {number}"] += 1
        except BaseException as error:  # whatever it is, the reader must not raise it
            report["crashes"] += 1
            sentences[f"CRASH {number} {error!r}"[:200]] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - began)
        report["accepted"] += is_accepted
        if not is_accepted or number % sample:
            path.unlink()
    kinds = {"sentences": dict(sentences), "slowest_ms": 1000 * slowest, "memory_bytes": _address_space() - base}
    print(json.dumps({**report, **kinds}))
    return 0


def load_files(folder: Path) -> int:
    """Runs in a child: each file in a fork of it, so that llama.cpp is loaded once."""
    from backends.llama import native  # noqa: F401

    report: dict[str, Any] = {"loads": 0, "refusals": 0, "deaths": []}
    for path in sorted(folder.glob("*.gguf")):
        log = folder / "native.log"
        pid = os.fork()
        if pid == 0:
            _load(path, log)
        _, status = os.waitpid(pid, 0)
        report["loads"] += 1
        report["refusals"] += os.WIFEXITED(status) and os.WEXITSTATUS(status) == 3
        if os.WIFSIGNALED(status) or os.WEXITSTATUS(status) not in (0, 3):
            why = (
                signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
            )
            words = log.read_text("utf-8", "replace").splitlines()
            telling = [line for line in words if "ASSERT" in line or "abort" in line.lower() or "Error" in line]
            report["deaths"].append({"file": path.name, "how": why, "words": (telling or words)[-1:]})
    print(json.dumps(report))
    return 0


def _load(path: Path, log: Path) -> None:
    """In the fork: load, tokenise, one step. Never returns; 0: it worked, 3: it was refused."""
    from backends.llama.native import NativeError

    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ["GGML_NO_BACKTRACE"] = "1"
        signal.alarm(NATIVE_SECONDS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _one_step(path)
        code = 0
    except NativeError:
        code = 3
    except BaseException as error:
        os.write(2, f"\nError: {error!r}\n".encode())
    finally:
        os._exit(code)


def _one_step(path: Path) -> None:
    """What an engine does with a model, in small."""
    from backends.llama.context import ContextParams, NativeContext
    from backends.llama.native import NativeModel

    model = NativeModel(path)
    if not model.has_decoder or not model.has_vocabulary:  # the engine refuses these itself
        return
    vocabulary = model.vocabulary
    tokens = vocabulary.tokenize("Hello wörld\n", add_special=True, parse_special=True) or [0]
    for token in (*tokens, *range(min(8, vocabulary.num_tokens)), *vocabulary.ends()):
        vocabulary.piece(token, special=True)
    context = NativeContext(model, ContextParams(num_cells=64, num_slots=1, batch_tokens=64, threads=1))
    context.batch.put(0, tokens, 0, 0)
    context.batch.outputs[: len(tokens)] = 1
    context.decode(len(tokens))


def together(report: dict[str, Any]) -> dict[str, Any]:
    """With the results on file, if these are the mutants that follow."""
    try:
        before: dict[str, Any] = json.loads((RESULTS / "fuzz_gguf.json").read_text("utf-8"))
    except (OSError, ValueError):
        return report
    if not report["start"] or before["start"] + before["mutants"] != report["start"]:
        return report
    sums = ("mutants", "accepted", "crashes", "hangs", "native_loads", "native_refusals", "native_deaths", "seconds")
    sentences = Counter(before["sentences"]) + Counter(report["sentences"])
    return {
        **report,
        **{key: before[key] + report[key] for key in sums},
        "start": before["start"],
        "slowest_ms": max(before["slowest_ms"], report["slowest_ms"]),
        "memory_mb": max(before["memory_mb"], report["memory_mb"]),
        "sentences": dict(sentences.most_common()),
    }


def save(report: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fuzz_gguf.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    rows = [f"| {count:,} | {kind} |" for kind, count in list(report["sentences"].items())[:60]]
    lines = [
        "# Spoilt GGUF headers",
        "",
        f"{report['mutants']:,} mutants of eight tiny models (`python -m tests.bench.fuzz_gguf`): "
        f"{report['crashes']} crashes and {report['hangs']} hangs of our reader, slowest {report['slowest_ms']} ms, "
        f"at most {report['memory_mb']} MB. It accepted {report['accepted']:,}. llama.cpp loaded and ran "
        f"{report['native_loads']:,} of these for a step; it refused {report['native_refusals']:,} with an error of "
        f"its own and died of {len(report['native_deaths'])}.",
        "",
        "| mutants | what the reader says |",
        "|--:|---|",
        *rows,
        "",
    ]
    (RESULTS / "fuzz_gguf.md").write_text("\n".join(lines), "utf-8")


def _kind(sentence: str, name: str) -> str:
    """The sentence without what differs from file to file."""
    words = sentence.replace(name, "FILE").replace("|", "/")
    out, is_quoted = [], False
    for part in words.split("'"):
        out.append("…" if is_quoted else "".join("9" if c.isdigit() else c for c in part))
        is_quoted = not is_quoted
    text = "".join(out)
    while "99" in text or "9,9" in text or "9.9" in text:
        text = text.replace("99", "9").replace("9,9", "9").replace("9.9", "9")
    return text[:160]


def _hang(*_: object) -> None:
    raise Hang


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
