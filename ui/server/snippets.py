"""Ready-made calls of the port for other programs, with the right address and model. Knows no widget.

A key is written out only while it is shown anyway; else the snippet reads it from a variable.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass

VARIABLE = "SLIPSTREAM_API_KEY"
ANY_KEY = "none"  # what clients send that insist on one, where none is asked for


@dataclass(frozen=True, slots=True)
class Target:
    """What is called. address: the port's base URL, without /v1. needs_key: key is None while it must not be seen."""

    address: str
    model: str
    needs_key: bool = False
    key: str | None = None

    @property
    def in_shell(self) -> str:
        """As an argument in double quotes."""
        return (self.key or f"${VARIABLE}") if self.needs_key else ANY_KEY

    def in_code(self, variable: str) -> str:
        """As an expression: the key itself, or what reads the variable."""
        return quoted(self.key or ANY_KEY) if self.key or not self.needs_key else variable


@dataclass(frozen=True, slots=True)
class Snippet:
    """program: whose it is. note: where it goes."""

    program: str
    note: str
    text: Callable[[Target], str]


def quoted(text: str) -> str:
    """A string for Python, JavaScript, YAML and JSON alike."""
    return json.dumps(text, ensure_ascii=False)


def curl(target: Target) -> str:
    authorization = f' \\\n  -H "Authorization: Bearer {target.in_shell}"' if target.needs_key else ""
    model = quoted(target.model).replace("'", "'\\''")  # it stands in single quotes
    return (
        f"curl {target.address}/v1/chat/completions \\\n"
        f'  -H "Content-Type: application/json"{authorization} \\\n'
        f"""  -d '{{"model": {model},\n"""
        """       "messages": [{"role": "user", "content": "Hello"}]}'"""
    )


def openai_python(target: Target) -> str:
    key = target.in_code(f'os.environ["{VARIABLE}"]')
    imports = "import os\n\n" if key.startswith("os.") else ""
    return (
        f"{imports}from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{target.address}/v1", api_key={key})\n'
        "stream = client.chat.completions.create(\n"
        f"    model={quoted(target.model)},\n"
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        "    stream=True,\n"
        ")\n"
        "for chunk in stream:\n"
        '    print(chunk.choices[0].delta.content or "", end="")'
    )


def javascript(target: Target) -> str:
    key = target.in_code(f"process.env.{VARIABLE}")
    return (
        'import OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{target.address}/v1", apiKey: {key} }});\n'
        "const stream = await client.chat.completions.create({\n"
        f"  model: {quoted(target.model)},\n"
        '  messages: [{ role: "user", content: "Hello" }],\n'
        "  stream: true,\n"
        "});\n"
        "for await (const chunk of stream) {\n"
        '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n'
        "}"
    )


def llm(target: Target) -> str:
    return (
        'cat >> "$(dirname "$(llm logs path)")/extra-openai-models.yaml" <<\'END\'\n'
        "- model_id: slipstream\n"
        f"  model_name: {quoted(target.model)}\n"
        f'  api_base: "{target.address}/v1"\n'
        "  api_key_name: slipstream\n"
        "END\n"
        f'llm keys set slipstream --value "{target.in_shell}"\n'
        'llm -m slipstream "Hello"'
    )


def langchain(target: Target) -> str:
    key = target.in_code(f'os.environ["{VARIABLE}"]')
    imports = "import os\n\n" if key.startswith("os.") else ""
    return (
        f"{imports}from langchain_openai import ChatOpenAI\n\n"
        "model = ChatOpenAI(\n"
        f"    model={quoted(target.model)},\n"
        f'    base_url="{target.address}/v1",\n'
        f"    api_key={key},\n"
        ")\n"
        'for chunk in model.stream("Hello"):\n'
        '    print(chunk.content, end="")'
    )


def continue_dev(target: Target) -> str:
    key = target.in_code(f"${{{{ secrets.{VARIABLE} }}}}")
    return (
        "name: Slipstream\n"
        "version: 1.0.0\n"
        "schema: v1\n"
        "models:\n"
        f"  - name: {quoted(target.model)}\n"
        "    provider: openai\n"
        f"    model: {quoted(target.model)}\n"
        f'    apiBase: "{target.address}/v1"\n'
        f"    apiKey: {key}\n"
        "    roles: [chat, edit, apply]"
    )


def open_webui(target: Target) -> str:
    return (
        f'OPENAI_API_BASE_URL="{target.address}/v1" \\\n'
        f'OPENAI_API_KEY="{target.in_shell}" \\\n'
        "ENABLE_OLLAMA_API=false \\\n"
        "open-webui serve"
    )


def claude_code(target: Target) -> str:
    model = shlex.quote(target.model)
    return (
        f'ANTHROPIC_BASE_URL="{target.address}" \\\n'
        f'ANTHROPIC_AUTH_TOKEN="{target.in_shell}" \\\n'
        f"ANTHROPIC_MODEL={model} \\\n"
        f"ANTHROPIC_DEFAULT_HAIKU_MODEL={model} \\\n"
        "claude"
    )


SNIPPETS = (
    Snippet("curl", "In a terminal.", curl),
    Snippet("Python", "With OpenAI's package: pip install openai.", openai_python),
    Snippet("JavaScript", "With OpenAI's package, as a module: npm install openai.", javascript),
    Snippet("llm", "In a terminal, once; then “llm -m slipstream” answers: pip install llm.", llm),
    Snippet("LangChain", "pip install langchain-openai.", langchain),
    Snippet("Continue", "As ~/.continue/config.yaml, for VS Code and JetBrains.", continue_dev),
    Snippet("Open WebUI", "In a terminal: pip install open-webui.", open_webui),
    Snippet("Claude Code", "In a terminal. Choose a model with tools and 32k of context or more.", claude_code),
)
