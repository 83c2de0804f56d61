"""The fields of a route, each in one of three lists: done, harmless and ignored, or refused by name.

Nothing that would change what is answered is ignored, but what none of the four dialects knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from app.server.core.limits import MAX_QUOTED
from app.server.core.refusal import REFUSED
from backends.bounds import as_name

MAX_INT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a field cannot be done: the rest of a sentence that begins with its name. but: values that want nothing."""

    reason: str
    but: tuple[Any, ...] = ()

    def allows(self, value: Any) -> bool:
        return value is None or value in self.but


class Fields(BaseModel):
    """Those that are declared are done. Absent and null are the same."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    ignored: ClassVar[frozenset[str]] = frozenset()
    refused: ClassVar[Mapping[str, Refused]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_cannot_be_done(cls, given: Any) -> Any:
        for name, refused in cls.refused.items() if isinstance(given, dict) else ():
            if not refused.allows(given.get(name)):
                raise not_supported(refused.reason, name)
        return given

    @classmethod
    def done(cls) -> frozenset[str]:
        """By all names that a program may use."""
        names = set(cls.model_fields)
        for field in cls.model_fields.values():
            alias = field.validation_alias
            names |= {str(choice) for choice in getattr(alias, "choices", [alias] if alias else [])}
        return frozenset(names)


def not_supported(reason: str, name: str = "") -> PydanticCustomError:
    """Understood, and refused. Raised within a validator; name: of the field, where its place does not tell it."""
    return PydanticCustomError(REFUSED, "{reason}", {"reason": reason, "param": name})


def only_text(kind: str, noun: str) -> PydanticCustomError:
    """A part of a message that is no text. noun: what the dialect calls such."""
    shown = f"{noun} of type “{as_name(kind, MAX_QUOTED)}”"
    if "image" in kind:  # in llama-server's words, which programs look for
        return not_supported(f"image input is not supported: {shown} cannot be read, only text")
    return not_supported(f"{shown} are not supported, only text")


def text(value: str) -> str:
    """JSON can carry halves of surrogate pairs, which are no characters and which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} is half a surrogate pair") from None
    return value


def whole(value: Any) -> Any:
    """JavaScript and others write whole numbers as 16.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
