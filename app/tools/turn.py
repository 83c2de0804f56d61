"""What a model has said in one turn, put together from the engine's outputs."""

from backends.protocol import (
    Arguments,
    CallBegun,
    CallBroken,
    CallEnded,
    Finish,
    Message,
    Output,
    Text,
    Thought,
    ToolCall,
)


class Turn:
    """A call counts once it has ended; one that broke is text, as the model wrote it."""

    def __init__(self) -> None:
        self.finish = Finish.STOP
        self.has_begun = False
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._open: dict[int, tuple[CallBegun, list[str]]] = {}
        self._calls: list[ToolCall] = []

    def add(self, output: Output) -> None:
        self.has_begun = True
        if output.finish is not None:
            self.finish = output.finish
        for part in output.all_parts:
            match part:
                case Text(text=text):
                    self._text.append(text)
                case Thought(text=text):
                    self._thoughts.append(text)
                case CallBegun(index=index):
                    self._open[index] = part, []
                case Arguments(index=index, text=text):
                    self._open[index][1].append(text)
                case CallEnded(index=index):
                    begun, arguments = self._open.pop(index)
                    self._calls.append(ToolCall(begun.id, begun.name, "".join(arguments)))
                case CallBroken(index=index, text=text):
                    self._open.pop(index, None)
                    self._text.append(text)

    def message(self) -> Message:
        """As a chat remembers it. Calls of a turn that was called off are none: nobody will answer them."""
        calls = () if self.finish is Finish.ABORT else tuple(self._calls)
        return Message("assistant", "".join(self._text), calls, reasoning="".join(self._thoughts) or None)
