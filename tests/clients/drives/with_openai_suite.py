"""openai-python's own tests of its API, out of its source, against the port. What is left out stands in
openai_suite_list."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx2
from openai_suite_list import DESELECTED, FILES, LEFT_OUT
from steps import MODEL, OPENAI, STEPS, run

HERE, SOURCE = Path(__file__).parent, Path(sys.argv[3]) / "source"
COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|deselected)")
HARMLESS = {"/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]}, "/completions": {"prompt": "Hi"}}
SOMETHING = {
    "background": True,
    "conversation": "string",
    "suffix": "string",
    "verbosity": "low",
    "audio": {"voice": "x"},
}


def suite(file: str) -> str:
    environment = {**os.environ, "TEST_API_BASE_URL": OPENAI, "SUITE_MODEL": MODEL, "PYTHONPATH": str(HERE)}
    flags = [
        "-q",
        "-p",
        "openai_suite_plugin",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        "--tb=line",
        "--show-capture=no",
        "-o",
        "addopts=",
    ]
    command = [sys.executable, "-m", "pytest", *flags, f"tests/api_resources/{file}"]
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    told = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-200:]
    counts = {word.removesuffix("s"): number for number, word in COUNTS.findall(told)}
    reasons = "; ".join(f"{name}: {reason}" for name, reason in DESELECTED.get(file, {}).items())
    if done.returncode:
        raise AssertionError(f"{told}: {done.stdout[-3000:]}")
    left_out = f", {counts['deselected']} left out ({reasons})" if "deselected" in counts else ""
    return f"{counts['passed']} tests{left_out}"


def refused(path: str) -> str:
    """That what the tests are spared is refused by its name, and for no other reason."""
    fields = LEFT_OUT[path]
    for name, reason in fields.items():
        outer, _, inner = name.partition(".")
        value = SOMETHING.get(inner or outer, {"x": "y"})
        body = {"model": MODEL, **HARMLESS.get(path, {"input": "Hi"}), outer: {inner: value} if inner else value}
        answer = httpx2.post(f"{OPENAI}{path}", json=body, timeout=600)
        assert answer.status_code == 400, f"{name} is refused no more ({reason})"
        assert answer.json()["error"]["param"] == name, answer.text
    return "; ".join(f"{name}: {reason}" for name, reason in fields.items())


for each, its_file in FILES.items():
    STEPS[f"its own tests: {each}"] = partial(suite, its_file)
for each in LEFT_OUT:
    STEPS[f"refused by name, and left out of its tests: {each}"] = partial(refused, each)
run()
