"""What docstrings say of arguments: each entry is also an option's help, and stands alone there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("lsp_keras", "cli", "serving")
# An entry that begins so has no noun of its own.
LEANING = re.compile(r"(Of|Its|See|Likewise|That|As|In|To|By|From|On|Under|At|For|With)\b")
# So does one that begins with its type, its shape or its values.
UNNAMED = re.compile(
    r"[^A-Z]|((Float|Int|Uint)\d*|Integer|Bool|String|Scalar|One|None|True|False|Positive)\b"
)
# Or with what it does.
ACTING = re.compile(
    r"(Makes|Gets|Told|Called|Maps|Holds|Parses|Overrides|Fixes|Takes|Turns|Passed|Given)\b"
)
DEFINITIONS = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings() -> Iterator[tuple[str, str]]:
    """Each docstring of a class or function of the package, by file and name."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, DEFINITIONS):
                    text = ast.get_docstring(node) or ""
                    yield f"{path.relative_to(ROOT)}: {node.name}", text


def entries(docstring: str) -> Iterator[tuple[str, str]]:
    """Names and texts of the sections `Args:` and `Attributes:`."""
    for section in ("Args", "Attributes"):
        text = docstring.partition(f"\n{section}:\n")[2]
        body = re.match(r"(?: {4}.*\n?|\n(?= {4}))*", text)
        found = re.split(r"^ {4}(\w+): ", body[0] if body else "", flags=re.MULTILINE)
        yield from zip(found[1::2], found[2::2], strict=True)


def test_the_entries_are_found() -> None:
    assert dict(
        entries("What.\n\nArgs:\n    a: One\n        line.\n    b: Of it.\n\nRaises:\n")
    ) == {
        "a": "One\n        line.\n",
        "b": "Of it.\n",
    }
    assert sum(len(list(entries(text))) for _, text in docstrings()) > 1500


def test_every_entry_says_what_it_is_by_itself() -> None:
    leaning = [
        f"{where}: {name}: {text.strip()}"
        for where, docstring in docstrings()
        for name, text in entries(docstring)
        if LEANING.match(text) or "see above" in text
    ]
    assert not leaning, "\n".join(leaning)


def test_every_entry_begins_with_a_noun() -> None:
    for text in (
        "float32 `(n,)`.",
        "`(n,)`.",
        '`"linf"` or `"l2"`.',
        "3 or 1.",
        "Integer.",
        "One.",
    ):
        assert UNNAMED.match(text)
    assert not UNNAMED.match("Labels, int `(n,)`.")
    assert ACTING.match("Maps images to logits.")
    unnamed = [
        f"{where}: {name}: {text.strip()}"
        for where, docstring in docstrings()
        for name, text in entries(docstring)
        if UNNAMED.match(text) or ACTING.match(text)
    ]
    assert not unnamed, "\n".join(unnamed)


def test_no_docstring_only_points_elsewhere() -> None:
    empty = [
        where for where, text in docstrings() if re.fullmatch(r"See [^ ]+\.|See the base.*", text)
    ]
    assert not empty, "\n".join(empty)
