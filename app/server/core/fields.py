"""The fields of a route, each in one of three lists: done, harmless and ignored, or refused by name.

Nothing that would change what is answered is ignored, but what none of the four dialects knows: see `unknown`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from app.server.core.limits import MAX_QUOTED
from app.server.core.refusal import REFUSED
from app.server.core.shown import shown
from app.server.core.unknown import meant, note
from backends.bounds import as_name

MAX_INT = 2**31 - 1
MAX_ALLOWED = 24  # characters of a value that a sentence offers


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a field cannot be done: the rest of a sentence that begins with its name. but: values that want nothing."""

    reason: str
    but: tuple[Any, ...] = ()

    def sentence(self, value: Any) -> str:
        """With what may be sent instead of this value."""
        allowed = [written for each in self.but if len(written := json.dumps(each)) <= MAX_ALLOWED]
        send = f", or send {' or '.join(allowed)}, not {shown(value)}" if allowed else ""
        return f"{self.reason}. Leave it out{send}"

    def allows(self, value: Any) -> bool:
        return value is None or value in self.but


class Part(BaseModel):
    """An object within a request, or all of it. A name that is a known one but for its spelling is refused."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_is_misspelt(cls, given: Any) -> Any:
        if misspelt := meant(cls.unknown(given), given, cls.meaningful()):
            name, near = misspelt
            raise not_supported(f"there is no such field. Near it is {near}: write it so, or leave it out", name)
        return given

    @classmethod
    def unknown(cls, given: Any) -> list[str]:
        """Those of the names that no table has."""
        known = cls.known()
        return [name for name in given if name not in known] if isinstance(given, dict) else []

    @classmethod
    @cache
    def meaningful(cls) -> frozenset[str]:
        """Those whose values change something."""
        return cls.done()

    @classmethod
    @cache
    def known(cls) -> frozenset[str]:
        return cls.meaningful()

    @classmethod
    def done(cls) -> frozenset[str]:
        """By all names that a program may use."""
        names = set(cls.model_fields)
        for field in cls.model_fields.values():
            alias = field.validation_alias
            names |= {str(choice) for choice in getattr(alias, "choices", [alias] if alias else [])}
        return frozenset(names)


class Fields(Part):
    """Those that are declared are done. Absent and null are the same. asked_by: for parts of a Generate or an Embed
    that have another name here, the fields that ask for them."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    ignored: ClassVar[frozenset[str]] = frozenset()
    refused: ClassVar[Mapping[str, Refused]] = {}
    asked_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_cannot_be_done(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        refuse(cls.refused, given)
        return given

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing_in_silence(cls, given: Any) -> Any:
        note(cls.unknown(given))
        return given

    def name_of(self, about: str) -> str | None:
        """The field of this request that asks for a part of what an engine is given, as Failed names it."""
        names = self.asked_by.get(about, (about,) if about in type(self).model_fields else ())
        given = [name for name in names if getattr(self, name.partition(".")[0], None) is not None]
        return (given or names or (None,))[0]

    @classmethod
    @cache
    def meaningful(cls) -> frozenset[str]:
        """Those whose values change something."""
        return cls.done().union(cls.refused)

    @classmethod
    @cache
    def known(cls) -> frozenset[str]:
        return cls.meaningful().union(cls.ignored)


def refuse(refused: Mapping[str, Refused], given: Mapping[str, Any]) -> None:
    """Raises what a validator raises for the first of the fields that wants what cannot be done."""
    for name, why in refused.items():
        if not why.allows(value := given.get(name)):
            raise not_supported(why.sentence(value), name)


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
