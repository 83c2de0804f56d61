"""What the memory behind a first answer and a long chat is: `python -m tests.bench.footprint_parts`. Linux.

The server of `footprint`, on SmolLM2. Each process's resident pages by what they are of: the model's file, programs and
libraries, and what is in no file, of which the engine's cache and buffers are told as llama.cpp logs them. Written into
results/engine_misses.md, behind the figures of memory that the tables miss.
"""

import re
import sys
import time
from pathlib import Path

import psutil

from tests.bench import footprint, misses
from tests.bench.cases import prompt
from tests.bench.client import ask, completion
from tests.bench.servers import Server, Setting, running
from tests.real import things

SECTION = "What the memory is"
COMMAND = "    .venv/bin/python -m tests.bench.footprint_parts"
MODEL, LIBRARIES, OWN = "the model's file", "programs and libraries", "in no file"
BUFFER = re.compile(r"(KV|compute|output) buffer size\s*=\s*([\d.]+) MiB")
ROLES = (("multiprocessing.resource_tracker", "resource tracker"), ("-m app serve", "application and port"))


def parts(pid: int, model: str) -> dict[str, float]:
    """MiB of a process, pages that it shares counted in parts."""
    found, kind = dict.fromkeys((MODEL, LIBRARIES, OWN), 0.0), OWN
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
        words = line.split(maxsplit=5)
        if "-" in words[0]:  # a mapping's head: addresses, rights, offset, device, inode, name
            name = words[5] if words[4] != "0" else ""
            kind = MODEL if name == model else LIBRARIES if name else OWN
        elif words[0] == "Pss:":
            found[kind] += int(words[1]) / footprint.KIB
    return found


def buffers(log: str) -> dict[str, float]:
    """MiB of the newest context: a cache that has grown is logged anew."""
    return {kind: float(size) for kind, size in BUFFER.findall(log)}


def _table(server: Server, model: str) -> list[str]:
    rows = []
    for process in (server.process, *server.process.children(recursive=True)):
        found, command = parts(process.pid, model), " ".join(process.cmdline())
        total = sum(found.values())
        named = next((role for sign, role in ROLES if sign in command), "sandbox for templates and grammars")
        role = "engine" if found[MODEL] else named
        shown = " | ".join(f"{found[kind]:.1f}" for kind in (MODEL, LIBRARIES, OWN))
        rows.append((total, f"| {role} | {shown} | {total:.1f} |"))
    whole = sum(size for size, _ in rows)
    head = [f"| MiB | {MODEL} | {LIBRARIES} | {OWN} | all |", "|---|---|---|---|---|"]
    return [*head, *(row for _, row in sorted(rows, reverse=True)), f"| all | | | | {whole:.1f} |"]


def section() -> list[str]:
    model = things.smollm2()
    lines = [COMMAND, "", f"{model.name}, `slipstream serve --context {footprint.CONTEXT}`, else at its defaults."]
    ours = footprint.Defaults(Path()).ours
    with running(ours, Setting(model, footprint.CONTEXT)) as server:
        for what, length in (("the first answer", footprint.FIRST), ("a chat of 6k", footprint.LONG)):
            ask(server.port, completion(prompt(length), footprint.MAX_TOKENS))
            time.sleep(footprint.SETTLE)
            lines += ["", f"### After {what}", "", *_table(server, str(model))]
            logs = (server.home / "logs").glob("engine-*.log")
            known = buffers("".join(path.read_text("utf-8", "replace") for path in logs))
            told = ", ".join(f"{size:.1f} MiB of {kind}" for kind, size in known.items())
            lines += ["", f"Of the engine's own, llama.cpp has allocated: {told or 'not logged'}."]
    return lines


if __name__ == "__main__":
    if not psutil.LINUX:
        sys.exit("The kernel's account of a process's pages is read from /proc, which only Linux has.")
    misses.keep(SECTION, section())
