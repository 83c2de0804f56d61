"""Schemathesis, with all its checks, over every route that /openapi.json tells of, before a model of bytes.

`python -m tests.clients.schemathesis_run [--examples N] [--seed N]` writes tests/bench/results/schemathesis.{json,md}
and fails where it found what is in none of CLASSES.
"""

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.inference.supervisor import EngineHandle, Supervisor
from app.server import Server
from backends.protocol import EngineOptions
from tests.clients import environments
from tests.server.conftest import Directory

RESULTS = Path(__file__).parents[1] / "bench" / "results"
LEAST_CASES = 2000
LOAD_SECONDS = 60.0
PATIENCE = 3600.0  # seconds for all of it
SLOW = 60.0  # seconds that an answer may take here: some are asked for without an end
EXAMPLES, SEED = 20, 1
LONGEST = 160  # characters of what is told of a finding
POSITIVE, NEGATIVE = "positive_data_acceptance", "negative_data_rejection"


@dataclass(frozen=True, slots=True)
class Class:
    """Findings that are right as they are, because of `reason`. signs: of each a check, and a pattern that is found in
    “METHOD /path answer”."""

    reason: str
    signs: tuple[tuple[str, str], ...]

    def fits(self, finding: "Finding") -> bool:
        said = f"{finding.route} {finding.answer}"
        return any(check == finding.check and re.search(pattern, said) for check, pattern in self.signs)


@dataclass(frozen=True, slots=True)
class Finding:
    """answer: what the port said, with numbers made N."""

    check: str
    status: int
    route: str
    answer: str
    wanted: str


# what a JSON schema cannot say
CLASSES = (
    Class(
        "which tokens a model has, and whether a text has any, is its vocabulary's to say",
        (
            (POSITIVE, "Token ids (must|of this model)"),
            (POSITIVE, "(A text|an input) is empty"),
            (POSITIVE, "cannot fill in"),
        ),
    ),
    Class("a name that is a known one but for its spelling is refused", ((POSITIVE, "there is no such field"),)),
    Class("how long a prompt may be is the model's to say", ((POSITIVE, "maximum context length"),)),
    Class(
        "which LoRA adapters there are depends on how the model was loaded",
        ((POSITIVE, "LoRA adapters|loaded without an adapter"),),
    ),
    Class("which responses are kept is the store's to say", ((POSITIVE, "Previous response with id"),)),
    Class(
        "the choice of a tool names one of another field",
        ((POSITIVE, "(tool_choice|function_call): it (names|wants a call)"),),
    ),
    Class(
        "one field excludes another, or a value of it",
        (
            (POSITIVE, "they are what tools were before"),
            (POSITIVE, "an answer is held by one grammar"),
            (POSITIVE, "the two cannot both be"),
            (POSITIVE, "tools cannot be called in an answer that is held"),
            (POSITIVE, "thoughts are told apart where tools"),
            (POSITIVE, "go on with the last message"),
            (POSITIVE, "best_of|suffix: "),
            (POSITIVE, "completions can be asked for at once"),
        ),
    ),
    Class("texts among tokens are counted: JSON Schema counts all items alike", ((POSITIVE, "texts can be biased"),)),
    Class(
        "whether a grammar can be followed is the engine's to say, and JSON Schema cannot bound how deep another is",
        ((POSITIVE, "The grammar cannot be used: "), (POSITIVE, "a schema (nested at most|of at most)")),
    ),
    Class(
        "a port without a library, as this one, answers 501; that of slipstream serve has one",
        (("not_a_server_error", "no library of its own"),),
    ),
    Class(
        "what llama-server can be told and Slipstream does by itself is answered with 501, as llama-server does",
        (("not_a_server_error", "POST /(props|slots/)"),),
    ),
    Class(
        "GET and DELETE reach this path, too, as /v1/responses/{response_id}",
        (("allow_header_conformance", "OPTIONS /v1/responses/input_tokens"),),
    ),
)


class AnyName(Directory):
    """The one model answers whatever name is asked for."""

    def engine(self, _: str | None) -> EngineHandle:
        return super().engine(None)


@contextmanager
def port() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="slipstream-schemathesis-") as folder:
        supervisor = Supervisor(Path(folder))
        server = Server(AnyName(supervisor))
        try:
            handle = supervisor.load("quick", Path("quick"), EngineOptions(parallel=4), backend="fake")
            handle.wait_ready(LOAD_SECONDS)
            yield server.start(port=0)
        finally:
            server.stop()
            supervisor.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="at most, of each route and phase")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    environment = environments.python("schemathesis", ("schemathesis",))
    with tempfile.TemporaryDirectory(prefix="slipstream-schemathesis-") as folder, port() as url:
        report = Path(folder) / "report.ndjson"
        description = f"{url}/openapi.json"
        urllib.request.urlopen(description).read()  # the first time it is made, and Schemathesis is impatient
        how = ["--checks", "all", "--phases", "coverage,fuzzing,stateful", "-n", str(options.examples)]
        bounds = ["--request-timeout", str(SLOW), "--max-response-time", str(SLOW)]
        told = ["--report", "ndjson", "--report-ndjson-path", str(report), "--no-color"]
        quietly = ["--continue-on-failure", "--no-shrink", "--generation-database", "none"]
        program = [str(Path(environment.command[0]).with_name("schemathesis")), "run", description]
        command = [*program, *how, *bounds, *told, *quietly, "--seed", str(options.seed)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if not report.exists() or done.returncode > 1:
            print(done.stdout[-2000:], file=sys.stderr)
            return 1
        num_cases, findings = read(report)
    return write(environment.versions["schemathesis"], num_cases, findings)


def read(report: Path) -> tuple[int, Counter[Finding]]:
    num_cases, findings = 0, Counter[Finding]()
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            if scenario := json.loads(line).get("ScenarioFinished"):
                recorder = scenario["recorder"]
                num_cases += len(recorder.get("cases", ()))
                findings.update(_findings(recorder))
    return num_cases, findings


def _findings(recorder: dict[str, Any]) -> Iterator[Finding]:
    for id_, checks in recorder.get("checks", {}).items():
        case = recorder["cases"][id_]["value"]
        response = (recorder["interactions"].get(id_) or {}).get("response") or {}
        about = case.get("meta", {}).get("phase", {}).get("data") or {}
        for check in checks:
            if check["status"] != "success":
                # of what was rightly refused it does not matter which field was to be tried
                wanted = "" if check["name"] == POSITIVE else str(about.get("description") or "")[:LONGEST]
                yield Finding(
                    check["name"],
                    int(response.get("status_code") or 0),
                    f"{case['method']} {case['path']}",
                    _answer(response.get("content")),
                    wanted,
                )


def _answer(content: Any) -> str:
    """The sentence of a refusal, or how the answer begins."""
    raw = content.get("$base64", "") if isinstance(content, dict) else content or ""
    with suppress(ValueError):
        raw = base64.b64decode(raw, validate=True).decode("utf-8", "replace")
    with suppress(ValueError, KeyError, TypeError):
        error = json.loads(raw)["error"]
        raw = error["message"] if isinstance(error, dict) else error
    return re.sub(r"\d+", "N", str(raw))[:LONGEST]


def write(version: str, num_cases: int, findings: Counter[Finding]) -> int:
    """The page; returns 1 where something is in no class, or too few cases were tried."""
    rows = []
    for finding, count in findings.most_common():
        reason = next((each.reason for each in CLASSES if each.fits(finding)), None)
        rows.append({"count": count, **asdict(finding), "class": reason})
    unexplained = [row for row in rows if row["class"] is None]
    summary = {"schemathesis": version, "cases": num_cases, "findings": rows}
    (RESULTS / "schemathesis.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
    classes = [(sum(row["count"] for row in rows if row["class"] == each.reason), each.reason) for each in CLASSES]
    lines = [
        "# Schemathesis",
        "",
        f"Schemathesis {version}, all checks, {num_cases:,} cases over every route of /openapi.json, before a model of "
        f"bytes that answers to any name (`python -m tests.clients.schemathesis_run`). {len(unexplained)} kinds of "
        f"findings are unexplained.",
        "",
        "| findings | right as they are, because |",
        "|---|---|",
        *(f"| {count} | {reason} |" for count, reason in classes if count),
        "",
        "| findings | check | route | status | answer | class |",
        "|---|---|---|---|---|---|",
        *map(_line, sorted(rows, key=lambda row: row["class"] is not None)),
        "",
    ]
    (RESULTS / "schemathesis.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))
    return 1 if unexplained or num_cases < LEAST_CASES else 0


def _line(row: dict[str, Any]) -> str:
    answer = " ".join(f"{row['answer']} {row['wanted']}".split()).replace("|", "\\|")
    reason = row["class"] or "**unexplained**"
    return f"| {row['count']} | {row['check']} | {row['route']} | {row['status']} | {answer} | {reason} |"


if __name__ == "__main__":
    sys.exit(main())
