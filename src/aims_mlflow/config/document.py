"""A YAML file as plain data, with the line of every key. One dialect: the core schema of YAML 1.2.

So ``no`` and ``yes`` are text, ``2026-01-31`` is text until a date is asked for, and ``0755`` is a number: the meaning
of a file never depends on which loader happens to be installed. Keys are always the text that stands in the file, so
the clause id ``9.1`` needs no quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from aims_mlflow.config.problems import Loc, Problem, dotted

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 2_000_000
"""A larger file is not a declaration."""
MAX_DEPTH = 64
MAX_NODES = 200_000
"""More values than this, aliases written out, is an alias bomb."""

_CORE_SCHEMA = (
    ("tag:yaml.org,2002:null", r"(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("tag:yaml.org,2002:bool", r"(?:true|True|TRUE|false|False|FALSE)$", tuple("tTfF")),
    ("tag:yaml.org,2002:int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", tuple("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        tuple("-+.0123456789"),
    ),
)


@dataclass
class Document:
    """What a file says, and where it says it."""

    label: str
    content: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    """Line of each key or list item, from 1."""
    written: dict[Loc, str] = field(default_factory=dict)
    """Numbers as they stand in the file, for places where text is expected (``supports: [9.1]``)."""
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, loc: Loc) -> int | None:
        """The line of ``loc``, or of the nearest place around it that stands in the file."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.lines:
                return self.lines[loc[:length]]
        return None

    def add(self, loc: Loc, message: str, line: int | None = None) -> None:
        """Note a mistake at ``loc``."""
        self.problems.append(Problem(loc, message, self.line_of(loc) if line is None else line, self.label))


def read_document(content: bytes, label: str) -> Document:
    """Parse the bytes of a file. Mistakes of syntax are noted in ``problems``; nothing is raised for them."""
    document = Document(label)
    if len(content) > MAX_BYTES:
        document.add((), f"the file has {len(content)} bytes, more than the {MAX_BYTES} a declaration may have", 1)
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        document.add((), "expected UTF-8 text, found a byte that is not", line)
        return document
    root = _compose(text, document)
    if document.problems:
        return document
    if root is None or (root.tag == "tag:yaml.org,2002:null"):
        document.add((), "the file is empty; expected keys such as 'system' ('aims init' writes a commented file)", 1)
        return document
    try:
        document.content = _Builder(document).build(root, ())
    except _TooLargeError:
        document.add((), f"more than {MAX_NODES} values once its aliases are written out", 1)
    if not document.problems and not isinstance(document.content, dict):
        found = "a list" if isinstance(document.content, list) else "a single value"
        document.add((), f"expected keys and values such as 'system:', found {found}", 1)
    return document


def _compose(text: str, document: Document) -> yaml.Node | None:
    import yaml

    try:
        loader = _loader_class()(text)
        try:
            return loader.get_single_node()  # type: ignore[no-any-return]
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        if "nesting depth" in str(error.problem):  # a newer libyaml has a limit of its own
            document.add((), f"nested more than {MAX_DEPTH} levels deep", line)
        else:
            document.add((), _syntax_message(error, text.split("\n"), line), line)
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else 1
        document.add((), "a character that YAML does not allow (a control character?)", line)
    except _TooDeepError:
        document.add((), f"nested more than {MAX_DEPTH} levels deep", 1)
    except ValueError:
        document.add((), "not YAML", 1)
    return None


@cache
def _loader_class() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class CoreSchemaLoader(base):  # type: ignore[misc]
        """The safe loader with YAML 1.2's rules for what is a number, a truth value or nothing."""

        yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

        depth = 0

        def descend_resolver(self, parent: Any, index: Any) -> None:
            # The C parser recurses without a limit of its own and would take the process down with it.
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise _TooDeepError
            super().descend_resolver(parent, index)

        def ascend_resolver(self) -> None:
            self.depth -= 1
            super().ascend_resolver()

    for tag, pattern, first in _CORE_SCHEMA:
        CoreSchemaLoader.add_implicit_resolver(tag, re.compile(pattern), list(first))
    return CoreSchemaLoader


_NEEDS_QUOTES = {
    "'*'": "undefined alias",
    "'>' or '|'": "block scalar",
    "'@', '`' or '%'": "cannot start any token",
}
"""Signs with a meaning in YAML, and the parser's words when they were meant as text."""


def _syntax_message(error: yaml.MarkedYAMLError, lines: list[str], line: int) -> str:
    here = lines[line - 1] if line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())] or "'\\t'" in str(error.problem):
        return "a tab in the indentation; YAML takes spaces only"
    if error.problem == "mapping values are not allowed in this context":
        return "a colon where none can stand; put the text in quotes, or check the indentation"
    if "single document" in str(error.context):
        return "a second document begins here ('---'); expected one"
    for sign, words in _NEEDS_QUOTES.items():
        if words in f"{error.context} {error.problem}":
            return f"text that begins with {sign} needs quotes"
    since = f" ({error.context}{_since(error, line)})" if error.context else ""
    return f"YAML syntax: {error.problem}{since}"


def _since(error: yaml.MarkedYAMLError, line: int) -> str:
    mark = error.context_mark
    return f", begun on line {mark.line + 1}" if mark and mark.line + 1 != line else ""


def _is(node: Any, kind: str) -> bool:
    """``node.id`` names the kind without importing yaml."""
    return bool(node.id == kind)


class _TooLargeError(Exception):
    pass


class _TooDeepError(Exception):
    pass


class _Builder:
    """Turns YAML nodes into dicts, lists and scalars, noting lines and mistakes in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: set[int] = set()
        self.count = 0

    def build(self, node: yaml.Node, loc: Loc) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _TooLargeError
        line = node.start_mark.line + 1
        self.document.lines.setdefault(loc, line)
        if id(node) in self.open:
            self.document.add(loc, "an alias that contains itself", line)
            return None
        self.open.add(id(node))
        try:
            if _is(node, "mapping"):
                return self._mapping(node, loc)
            if _is(node, "sequence"):
                self._check_tag(node, loc, "seq")
                return [self.build(item, (*loc, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, loc)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.Node, loc: Loc) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        first_line: dict[str, int] = {}
        self._check_tag(node, loc, "map")
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not _is(key_node, "scalar"):
                self.document.add(loc, "a key that is itself a list or section; expected text", line)
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                merged += value_node.value if _is(value_node, "sequence") else [value_node]
                continue
            if key in first_line:
                where = (*loc, key)
                self.document.add(where, f"the key stands twice (first on line {first_line[key]})", line)
                continue
            first_line[key] = line
            self.document.lines[(*loc, key)] = line
            plain[key] = self.build(value_node, (*loc, key))
        for source in merged:
            self._merge(source, loc, plain)
        return plain

    def _merge(self, source: yaml.Node, loc: Loc, plain: dict[str, Any]) -> None:
        if not _is(source, "mapping"):
            self.document.add(loc, "'<<' takes a section or a list of sections", source.start_mark.line + 1)
            return
        before = dict(self.document.lines)
        content = self.build(source, loc)
        self.document.lines.update(before)  # keys written here keep their own lines
        for key, value in content.items():
            plain.setdefault(key, value)

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        value: str = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "null":
                return None
            case "bool":
                return value.lower() == "true"
            case "int" | "float":
                self.document.written[loc] = value
                return self._number(node, loc)
            case "str":
                return value
            case _:
                pass
        self._check_tag(node, loc, "str")
        return value

    def _number(self, node: yaml.Node, loc: Loc) -> int | float | None:
        value: str = node.value
        lowered = value.lower()
        try:
            if lowered.startswith(("0o", "0x")):
                return int(lowered, 0)
            if node.tag.endswith(":int"):
                return int(lowered)
            return float(lowered.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.document.add(loc, f"not a number: {value[:40]!r}", node.start_mark.line + 1)
            return None

    def _check_tag(self, node: yaml.Node, loc: Loc, expected: str) -> None:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag != expected:
            name = dotted((tag[:60],))
            self.document.add(loc, f"the YAML tag '!{name}' is not read here", node.start_mark.line + 1)
