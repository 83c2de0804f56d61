"""Draws results/peers.md from results/peers.json: the goals with what was measured, then every row."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAIR_KEYS = ("ratio", "lowest", "highest", "pairs")
COMMANDS = """    .venv/bin/python -m tests.bench.peers PEERS            # builds llama-server and the others, once
    .venv/bin/python -m tests.bench.compare --peers PEERS --work WORK [GROUP …]"""
FLASH = (
    "on a CPU our default leaves flash attention, whose kernel reads prompts some percent sooner and decodes far "
    "behind a long context several times slower (see “decode behind 4k tokens”)"
)
NOISE = "two equal servers differ by as much on this machine (see “same”)"
SHORT = (
    "64 new rows behind 4k cells take longer with flash attention left out; and here the conversation branches, so "
    "its stream is copied"
)
OWN_LOOP = (
    "Python: after each native decode its code and data lie outside of the processor's caches; text, pickling and the "
    "pipe have gone to a thread of their own"
)
BETWEEN = "engine µs between two decodes, per stream"


ALONE = {
    "edit": "",
    "code": "its text repeats nothing that a look-up could find; with the draft model it is reached",
    "quote": "",
    "chat": NOISE,
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One cell of the table. `key`: the value in the row that is compared; `at_most` for times."""

    text: str
    group: str
    figure: str
    wanted: float
    at_most: bool = False
    key: str = "ratio"
    if_missed: str = ""


GOALS = (
    Goal("decode, 1 stream, same kernels", "one-stream-flash", "decode tok/s", 0.98, if_missed=NOISE),
    Goal("2k cold prefill, same kernels", "one-stream-flash", "prefill 2k tok/s", 0.98),
    Goal("decode, 1 stream, each with its defaults", "one-stream", "decode tok/s", 0.98),
    Goal("2k cold prefill, each with its defaults", "one-stream", "prefill 2k tok/s", 0.98, if_missed=FLASH),
    Goal("decode, 1 stream, vocabulary of 8k", "one-stream-short", "decode tok/s", 0.98, if_missed=NOISE),
    Goal("decode, 0.5 B", "one-stream-0.5b", "decode tok/s", 0.98),
    Goal("2k cold prefill, 0.5 B", "one-stream-0.5b", "prefill 2k tok/s", 0.98, if_missed=FLASH),
    Goal("decode behind 4k tokens", "deep", "decode at 4k tok/s", 0.98),
    Goal("engine µs between two decodes, 1 stream, p50", "overhead", f"{BETWEEN}, 1 stream", 80, True, "p50", OWN_LOOP),
    Goal(
        "engine µs between two decodes, 1 stream, p99", "overhead", f"{BETWEEN}, 1 stream", 250, True, "p99", OWN_LOOP
    ),
    Goal("the same per stream at 8, p50", "overhead", f"{BETWEEN}, 8 streams", 25, True, "p50", OWN_LOOP),
    Goal("8 streams against -np 8, while all stream", "streams", "8 streams steady tok/s", 1.0),
    Goal(
        "8 streams against -np 8, from the first request on",
        "streams",
        "8 streams tok/s",
        1.0,
        if_missed="who streams already is not kept waiting for the others' prompts for longer than 4 steps; "
        "llama-server stops them until all prompts are read",
    ),
    Goal("8 short streams, vocabulary of 8k", "streams-short", "8 streams steady tok/s", 0.98),
    Goal("8 streams against llama_cpp.server", "streams-serial", "8 streams events/s", 1.6),
    Goal("8 cold clients, the same 4k", "cold-clients", "makespan s", 0.35, True),
    Goal("warm, 4k shared and 64 new", "warm", "warm ms", 1.05, True, if_missed=SHORT),
    Goal("A-B-A", "warm", "A-B-A ms", 1.1, True, if_missed=SHORT),
    Goal("after a restart, against own cold", "restart", "after a restart", 0.1, True),
    Goal("4k prompt beside 4 streams: worst stall", "stall", "worst stall ms", 0.25, True),
    Goal(
        "the same: worst over max(4 steady, 150 ms)", "stall", "worst stall over the allowed", 1.0, True, "slipstream"
    ),
    Goal("the same: the newcomer's first token", "stall", "newcomer's first token ms", 1.25, True),
    Goal("3k prompt, vocabulary of 8k: worst stall", "stall-short", "worst stall ms", 0.25, True),
    Goal("the same: the newcomer's first token", "stall-short", "newcomer's first token ms", 1.25, True),
    Goal("a short prompt beside three long ones", "newcomers", "short's first token ms", 1.0, True),
    *(
        Goal(f"drafting on {workload}, own without", "drafting", f"{workload} tok/s", wanted, if_missed=ALONE[workload])
        for workload, wanted in (("edit", 1.6), ("code", 1.2), ("quote", 1.15), ("chat", 0.98))
    ),
    Goal("the suite, against its defaults with the draft model", "drafting-peer", "suite, defaults", 1.1),
    Goal("the suite, against the best of a sweep by hand", "drafting-peer", "suite, by hand", 0.97),
    Goal(
        "KV q8_0 decode at 4k",
        "kv",
        "decode at 4k tok/s",
        0.95,
        if_missed="llama.cpp quantizes V with flash attention alone, which is slow on this CPU; our f16 goes without",
    ),
    Goal("KLD of KV q8_0/q8_0 on the guide", "kv", "KV q8_0/q8_0 on the guide", 0.002, True, "mean KLD"),
)


def write_table(groups: dict[str, Any], path: Path) -> None:
    lines = ["# Beside the peers", "", "Repeat it on an idle machine:", "", COMMANDS, "", *_goals(groups), ""]
    for name, group in groups.items():
        machine = group["machine"]
        lines += [f"## {name}", "", f"{group['measured']}, {machine['processor']}, {machine['cores']} cores", ""]
        lines += ["- " + _line(row) for row in group["rows"]]
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")


def _goals(groups: dict[str, Any]) -> list[str]:
    lines = ["| goal | against | measured | wanted | |", "|---|---|---|---|---|"]
    for goal in GOALS:
        for row in groups.get(goal.group, {}).get("rows", []):
            if row["figure"].startswith(goal.figure):
                lines.append(_goal(goal, row))
    return lines


def _goal(goal: Goal, row: dict[str, Any]) -> str:
    value = row[goal.key]
    is_reached = value <= goal.wanted if goal.at_most else value >= goal.wanted
    verdict = "reached" if is_reached else f"missed: {goal.if_missed}" if goal.if_missed else "missed"
    names = [key for key in row if key not in (*PAIR_KEYS, "figure")]
    against = names[1] if goal.key == "ratio" else ""
    text = f"{goal.text} ({names[0]})" if goal.group == "drafting" else goal.text
    sign = "≤" if goal.at_most else "≥"
    return f"| {text} | {against} | {_measured(row, goal.key)} | {sign} {goal.wanted:g} | {verdict} |"


def _measured(row: dict[str, Any], key: str) -> str:
    if key != "ratio":
        return _number(row[key])
    a, b = (row[name] for name in row if name not in (*PAIR_KEYS, "figure"))
    return f"**{row['ratio']:.3f}** ({row['lowest']:.3f}-{row['highest']:.3f}): {_number(a)} / {_number(b)}"


def _line(row: dict[str, Any]) -> str:
    values = {key: value for key, value in row.items() if key not in (*PAIR_KEYS, "figure")}
    said = "; ".join(f"{key} {_number(value)}" for key, value in values.items())
    ratio = ""
    if "ratio" in row:
        spread = f"{row['lowest']:.3f} to {row['highest']:.3f} in {row['pairs']} pairs"
        ratio = f": **{row['ratio']:.3f}** ({spread})"
    return f"{row['figure']}: {said}{ratio}"


def _number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
