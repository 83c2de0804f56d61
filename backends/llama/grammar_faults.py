"""What is wrong with a grammar, a regex or a schema, in our own words: libraries name their own parts and options."""

import re
from collections.abc import Callable

from backends.bounds import as_name

MAX_SHOWN = 60  # characters of what a grammar said
UNREADABLE = "it cannot be read"
NO_TOKEN = "it allows no token of this model here"
TOO_LARGE = "it is too large, or too ambiguous"
NOTHING = "nothing can fulfil it"
KINDS = {
    "array": "a list",
    "bool": "true or false",
    "f64": "a number",
    "number": "a number",
    "object": "an object",
    "positive integer": "a whole number from 0 up",
    "string": "a string",
}


def _expected(name: str, kind: str) -> str:
    return f"“{name}” is {KINDS.get(kind, 'something else')}"


# a library's sentence, wherever it stands in the message, and ours; the first that fits holds
SAID: tuple[tuple[str, str | Callable[..., str]], ...] = (
    # of what it costs
    (r"[Rr]ecursion|nested|nest limit|too deep", "it is nested too deeply"),
    # llguidance, of schemas
    (r'Unimplemented keys: \["([^"]*)"', "“{0}” is not supported in schemas"),
    (r"Invalid type: (.*)", "“{0}” is no type of JSON"),
    (r"type must be a string", "“type” is a string or a list of strings"),
    (r"(\w+) must be an array", "“{0}” is a list"),
    (r"(\w+) must be an object$", "“{0}” is an object"),
    (r"schema must be an object or boolean", "a schema is an object, true or false"),
    (r"Expected ([\w ]+) for '([^']*)', got", lambda kind, name: _expected(name, kind)),
    (r"Pointer '(.*)' does not exist", "a “$ref” leads to “{0}”, and nothing is there"),
    (r"Resource '(?:json-schema:///)?(.*)' is not present", "it leads to “{0}”, and nothing is fetched from elsewhere"),
    (r"(\w+) \(([^)]*)\) is greater than (\w+) \(([^)]*)\)", NOTHING + ": {0} {1} is above {2} {3}"),
    (r"required property '(.*)' is unsatisfiable", NOTHING + ": “{0}” is needed and can have no value"),
    (r"anyOf is empty|Unsatisfiable", NOTHING),
    (r"oneOf constraints", "“oneOf” is not supported where two of its schemas may both hold: write “anyOf”"),
    (r"Unknown format: (.*)", "the format “{0}” is not known"),
    (r"multiple of", "“multipleOf” is a number above 0"),
    (r'failed to parse "%json"', "what stands behind %json is no JSON"),
    (r"no fields set on %regex", "%regex says nothing"),
    # of rules
    (r"Unexpected end of input at line (\d+)", "it ends in the middle of line {0}"),
    (r"Expected (\S+) at line (\d+)", "in line {1} {0} is missing"),
    (r"[Ii]nvalid .* escape sequence.* at line (\d+)", "an escape sequence in line {0} is none"),
    (r" at line (\d+)", "line {0} cannot be read"),
    (r"Rule '([^']*)' not found|unknown name: \"([^\"]*)\"", "it has no rule “{0}”"),
    (r"No 'root' rule", "it has no rule “root”"),
    (r"no start rule", "it has no rule “start”"),
    (r"range end must be >= start, got (\(\d+, \d+\))", "a repetition ends below its beginning: {0}"),
    # of regexes, and Rust's regex-syntax, whose sentence comes last
    (r"unclosed group", "a group of the regex has no end"),
    (r"unopened group", "a group of the regex has no beginning"),
    (r"unclosed character class", "a character class of the regex has no end"),
    (r"unclosed capture group name", "the name of a group of the regex has no end"),
    (r"invalid repetition count range|unclosed counted repetition|repetition quantifier", "a repetition count is none"),
    (r"repetition operator missing", "a repetition of the regex repeats nothing"),
    (r"character class range", "a range of characters ends below its beginning"),
    (r"look-?arounds?", "a regex cannot look ahead or behind, and needs no ^ and $"),
    (r"backreferences", "a regex cannot refer back to a group"),
    (r"Unicode property|Unicode-aware", "the regex names a Unicode property that is not known"),
    (r"regex", "the regex cannot be read"),
    # of going on with it
    (r"NoExtension", NO_TOKEN),
    (r"\d+ items|max is|too (?:big|large|complex|many)|TooComplex|[Ff]uel|[Ll]imit|exceeded", TOO_LARGE),
)
TABLE = tuple((re.compile(pattern), ours) for pattern, ours in SAID)


def reason_of(message: str) -> str:
    """The rest of a sentence. A message of several lines shows the grammar in them; of a regex the fault comes last."""
    lines = message.splitlines() or [""]
    faults = [line for line in lines if line.startswith("error: ")]
    said = (faults or lines)[0]
    for pattern, ours in TABLE:
        if found := pattern.search(said):
            parts = [as_name(part, MAX_SHOWN) for part in found.groups() if part is not None]
            return ours.format(*parts) if isinstance(ours, str) else ours(*parts)
    return UNREADABLE
