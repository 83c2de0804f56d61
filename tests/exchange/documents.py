"""Exports as other programs write them, in small: with branches, hidden messages, thoughts and files."""

from typing import Any

TIME = 1_736_209_400.5


def _gpt(
    parent: str | None, role: str, parts: list[Any], time: float | None = None, kind: str = "text", **more: Any
) -> dict[str, Any]:
    metadata = more.pop("metadata", {})
    content = {"content_type": kind, "parts": parts} | more.pop("content", {})
    message = {"author": {"role": role, "name": None, "metadata": {}}, "create_time": time, "content": content}
    message |= {"status": "finished_successfully", "weight": 1.0, "recipient": "all", "metadata": metadata} | more
    return {"message": message, "parent": parent, "children": []}


CHATGPT: list[dict[str, Any]] = [
    {
        "title": "Postgres vs MongoDB",
        "create_time": TIME,
        "update_time": TIME + 400,
        "current_node": "a2",
        "mapping": {
            "a1": _gpt("q1", "assistant", ["First answer"], TIME + 10, metadata={"model_slug": "gpt-4o"}),
            "root": {"id": "root", "message": None, "parent": None, "children": ["sys"]},
            "sys": _gpt("root", "system", [""], metadata={"is_visually_hidden_from_conversation": True}),
            "ctx": _gpt("sys", "user", [], kind="user_editable_context", content={"user_profile": "secret"}),
            "q1": _gpt("ctx", "user", ["Which one?"], TIME),
            "q1b": _gpt("ctx", "user", ["Which one, edited?"], TIME + 60),
            "think": _gpt(
                "q1b", "assistant", [], kind="thoughts", content={"thoughts": [{"summary": "s", "content": "Hm."}]}
            ),
            "recap": _gpt("think", "assistant", [], kind="reasoning_recap", content={"content": "Thought for 3s"}),
            "call": _gpt(
                "recap", "assistant", [], TIME + 65, kind="code", content={"language": "python", "text": "1 + 1"}
            ),
            "tool": _gpt("call", "tool", [], kind="execution_output", content={"text": "2"}),
            "a2": _gpt(
                "tool",
                "assistant",
                [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}, "Second answer"],
                TIME + 70,
                kind="multimodal_text",
                metadata={"model_slug": "o3", "finish_details": {"type": "interrupted"}},
            ),
        },
    },
    {"title": "Empty", "create_time": TIME, "mapping": {"root": {"id": "root", "message": None, "parent": None}}},
]


def _step(text: str, **more: Any) -> dict[str, Any]:
    step = {"type": "contentBlock", "stepIdentifier": f"{int(TIME * 1000)}-0.42", "defaultShouldIncludeInContext": True}
    return step | {"content": [{"type": "text", "text": text, "fromDraftModel": False}]} | more


def _answer(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "multiStep", "role": "assistant", "senderInfo": {"senderName": "qwen/qwen3-4b"}, "steps": steps}


LM_STUDIO: dict[str, Any] = {
    "name": "Spreadsheet",
    "pinned": True,
    "createdAt": int(TIME * 1000),
    "assistantLastMessagedAt": int(TIME * 1000) + 5000,
    "tokenCount": 12,
    "systemPrompt": "",
    "messages": [
        {
            "currentlySelected": 0,
            "versions": [
                {
                    "type": "singleStep",
                    "role": "user",
                    "content": [
                        {"type": "file", "fileIdentifier": "1784 - a.png", "fileType": "image", "sizeBytes": 9},
                        {"type": "text", "text": "Describe"},
                    ],
                }
            ],
        },
        {
            "currentlySelected": 0,
            "versions": [
                _answer(
                    _step(
                        "The user wants", style={"type": "thinking", "ended": True, "title": "Thought for 2 seconds"}
                    ),
                    _step(
                        "It is a sheet.",
                        genInfo={
                            "identifier": "qwen/qwen3-4b",
                            "stats": {
                                "stopReason": "eosFound",
                                "tokensPerSecond": 50.0,
                                "timeToFirstTokenSec": 0.25,
                                "promptTokensCount": 11,
                                "predictedTokensCount": 101,
                            },
                        },
                    ),
                    {"type": "debugInfoBlock", "stepIdentifier": "x", "debugInfo": "Conversation naming technique"},
                ),
                _answer(_step("Another try", genInfo={"identifier": "m", "stats": {"stopReason": "userStopped"}})),
            ],
        },
        {"currentlySelected": 0, "versions": [{"type": "singleStep", "role": "user", "content": [{"text": "Thanks"}]}]},
    ],
}
LM_STUDIO["messages"][1]["versions"] = [
    {**version, "steps": list(version.get("steps", ()))} for version in LM_STUDIO["messages"][1]["versions"]
]


def _webui(number: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
    time = int(TIME) + int(number)
    return {"id": number, "parentId": parent, "childrenIds": [], "role": role, "content": content} | {
        "timestamp": time,
        **more,
    }


THOUGHT = (
    '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n{}\n</details>\n'
)
OPEN_WEBUI: list[dict[str, Any]] = [
    {
        "id": "record",
        "user_id": "someone",
        "title": "Ops",
        "updated_at": int(TIME) + 9,
        "pinned": True,
        "chat": {
            "title": "Ops",
            "models": ["llama3.2:3b"],
            "timestamp": int(TIME * 1000),
            "history": {
                "currentId": "3",
                "messages": {
                    "1": _webui("1", None, "user", "Why?", models=["llama3.2:3b"]),
                    "2": _webui(
                        "2", "1", "assistant", THOUGHT.format("> Hm.\n> Well.") + "Because.", model="llama3.2:3b"
                    ),
                    "3": _webui("3", "1", "assistant", THOUGHT.format("&gt; It&#x27;s so.") + "So.", model="qwen3:4b"),
                    "4": _webui("4", "2", "user", [{"type": "text", "text": "Look:"}, {"type": "image_url"}]),
                },
            },
        },
    }
]
