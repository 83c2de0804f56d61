"""The messages between the application and an engine process. Dataclasses only; knows no engine.

The application sends `Load` first, then `Generate`, `Abort`, `Pause` and `Resume` as it likes, and `Close` to end the
process.
The engine answers with `Loading`… `Ready` (or `Failed` with no uid), then with one `Outputs` per step, `Reading` for
a prompt that is only read, `Progress` where it is wanted, `Failed` for a request it refuses, and
`Stats` about four times a second while it works.
From its very start, at least once a second and whatever it does, it says with a `Pulse` that it lives.
"""

from backends.messages import Message, Tool, ToolCall
from backends.protocol.failure import Failed, FailureKind
from backends.protocol.generate import Abort, Close, Generate, Overflow, Pause, Priority, Prompt, Reads, Resume
from backends.protocol.infill import Infill
from backends.protocol.options import (
    Adapter,
    DraftMode,
    EngineOptions,
    FlashAttention,
    Keep,
    KVLayout,
    KVType,
    Load,
    Placement,
)
from backends.protocol.output import Chance, Finish, Output, Outputs, PromptLogprobs, Reading, TokenLogprob
from backends.protocol.packing import quickly_packed
from backends.protocol.parts import Arguments, CallBegun, CallBroken, CallEnded, Markup, Part, Text, Thought
from backends.protocol.progress import Progress
from backends.protocol.ready import Embedding, Loading, Pooling, Ready, Vocabulary
from backends.protocol.sampling import GREEDY, Grammar, GrammarKind, SamplingParams
from backends.protocol.stats import Cells, DeviceMemory, Drafting, DraftSource, Processor, Pulse, Stats
from backends.protocol.timings import MISS_SENTENCES, CacheMiss, Timings
from backends.protocol.tool_choice import AS_IT_LIKES, Calling, ToolChoice

__all__ = [
    "AS_IT_LIKES",
    "GREEDY",
    "MISS_SENTENCES",
    "Abort",
    "Adapter",
    "Arguments",
    "CacheMiss",
    "CallBegun",
    "CallBroken",
    "CallEnded",
    "Calling",
    "Cells",
    "Chance",
    "Close",
    "DeviceMemory",
    "DraftMode",
    "DraftSource",
    "Drafting",
    "Embedding",
    "EngineOptions",
    "Event",
    "Failed",
    "FailureKind",
    "Finish",
    "FlashAttention",
    "Generate",
    "Grammar",
    "GrammarKind",
    "Infill",
    "KVLayout",
    "KVType",
    "Keep",
    "Load",
    "Loading",
    "Markup",
    "Message",
    "Output",
    "Outputs",
    "Overflow",
    "Part",
    "Pause",
    "Placement",
    "Pooling",
    "Priority",
    "Processor",
    "Progress",
    "Prompt",
    "PromptLogprobs",
    "Pulse",
    "Reading",
    "Reads",
    "Ready",
    "Request",
    "Resume",
    "SamplingParams",
    "Stats",
    "Text",
    "Thought",
    "Timings",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Vocabulary",
    "quickly_packed",
]

Request = Load | Generate | Abort | Close | Pause | Resume

Event = Loading | Ready | Outputs | Reading | Failed | Progress | Stats | Pulse
