"""Simon Willison's `llm`, its command: a model of extra-openai-models.yaml, a schema, a tool."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from steps import KEY, MODEL, OPENAI, run, step

FOLDER = Path(tempfile.mkdtemp(prefix="slipstream-clients-llm-"))
MODELS = f"""
- model_id: local
  model_name: {json.dumps(MODEL)}
  api_base: {OPENAI}
  supports_tools: true
  supports_schema: true
"""


def llm(*arguments: str) -> str:
    environment = {**os.environ, "LLM_USER_PATH": str(FOLDER), "OPENAI_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr.strip()[-300:]
    return done.stdout


@step("prompt")
def prompt() -> None:
    assert llm("-m", "local", "-o", "max_tokens", "24", "Name a colour of the sky.").strip()


@step("prompt, not streamed")
def whole() -> None:
    assert llm("-m", "local", "--no-stream", "-o", "max_tokens", "24", "Name a colour of the sky.").strip()


@step("--schema")
def schema() -> None:
    told = llm("-m", "local", "-o", "max_tokens", "200", "--schema", "name, red int", "Name a colour of the sky.")
    assert {"name", "red"} <= set(json.loads(told)), told


@step("--tool")
def tool() -> None:
    options = ("-o", "max_tokens", "100", "-o", "temperature", "0")
    llm("-m", "local", *options, "-T", "llm_version", "Call llm_version.")
    (logged,) = json.loads(llm("logs", "-n", "1", "--json"))
    assert logged["tools"], logged
    assert logged["response"] or logged["tool_calls"], logged


(FOLDER / "extra-openai-models.yaml").write_text(MODELS, "utf-8")
run()
