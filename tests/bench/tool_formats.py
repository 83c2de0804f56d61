"""Which formats of calls and of reasoning real chat templates are written in, and whether a call that a template writes
is read again.

`python -m tests.bench.tool_formats` writes results/tool_formats.{json,md}.
"""

import json
import time
from pathlib import Path
from typing import Any

from backends.chat.formats.table import named
from backends.chat.recognition import CALLS, TOOLS, calls_in, turn_in
from backends.llama.chat_format import ChatFormat
from backends.llama.chat_jobs import TEMPLATE, Render, Template
from backends.llama.compiled import CompiledTemplate
from backends.messages import Message, ToolCall
from backends.sandbox.job import Refused
from tests.bench.templates import form_of, real_templates

RESULTS = Path(__file__).parent / "results"
ASK = Message("user", "qqask")
ODD = ToolCall("qqid00003", "qqtool", json.dumps({"qqtext": "Łódź, “two\nlines” <b> {x} \\ 🙂", "qqcount": -3}))
COLUMNS = ("template", "calls", "tools", "history", "results", "several", "reasoning", "kept", "again", "cpu_ms")
WORDS = {True: "yes", False: "–"}


def is_read_again(template: CompiledTemplate, form: ChatFormat, calls: tuple[ToolCall, ...]) -> bool:
    """Whether what stands in a chat's prompt for these calls is read as just these."""
    results = [Message("tool", "qqresult", (), call.id, call.name) for call in calls]
    with_calls = _prompt(template, form, Message("assistant", "", calls), *results)
    without = _prompt(template, form, Message("assistant", "qqanswer"))
    wanted = [(call.name, json.loads(call.arguments)) for call in calls]
    return calls_in(named(form.tools.format), turn_in(with_calls, without)) == wanted


def _prompt(template: CompiledTemplate, form: ChatFormat, *turns: Message) -> str:
    """Nothing where it refuses."""
    try:
        return Render((ASK, *turns), form, tools=TOOLS).run({TEMPLATE: template}).text
    except Refused:
        return ""


def measure() -> list[dict[str, Any]]:
    rows = []
    for real in real_templates():
        template = Template(real.source, real.tokens).unpack()
        begin = time.process_time()
        form = form_of(template)
        milliseconds = 1000 * (time.process_time() - begin)
        tools, reasoning = form.tools, form.reasoning
        sets = (CALLS if tools.takes_several else CALLS[:1], (ODD,))
        row = (real.name, tools.format, tools.takes_tools, tools.takes_calls, tools.takes_results, tools.takes_several)
        kept = reasoning.name and f"{WORDS[reasoning.keeps]}/{WORDS[reasoning.keeps_in_turn]}"
        again = all(is_read_again(template, form, calls) for calls in sets)
        rows.append(dict(zip(COLUMNS, (*row, reasoning.name, kept, again, round(milliseconds)), strict=True)))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "calls: the format of the table that reads what the template writes. tools, history, results, several: whether",
        "the template itself writes what is offered, earlier calls, what came of them, and several calls in a turn;",
        "else that is written for it. kept: thoughts of earlier turns / within a turn. again: calls rendered into a",
        "prompt are read as the same calls. CPU milliseconds: of the whole trial at the load, compiling included.\n",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for row in rows:
        cells = [WORDS.get(row[name], row[name]) if isinstance(row[name], bool) else row[name] for name in COLUMNS]
        lines.append("| " + " | ".join("–" if cell is None else str(cell) for cell in cells) + " |")
    own = sum(row["calls"] != "generic" for row in rows)
    again = sum(row["again"] for row in rows)
    lines += ["", f"{len(rows)} templates: {own} with a format of their own, {again} whose calls are read again."]
    return "\n".join(lines) + "\n"


def main() -> int:
    rows = measure()
    (RESULTS / "tool_formats.json").write_text(json.dumps(rows, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    (RESULTS / "tool_formats.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
