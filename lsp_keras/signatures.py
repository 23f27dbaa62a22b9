"""What a class or function takes, read from its source without importing it.

The arguments' names, types and defaults come from the signature, their help from the `Args:` of
the docstring. Names that a file imports from this package or defines itself are followed, so that
an inherited constructor and a type such as `Norm` are read where they stand.
"""

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

_ROOT = Path(__file__).parent
_PLAIN: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_ENTRY = re.compile(r"^ {4}(\w+): (.*)$")

_P = ParamSpec("_P")
_R = TypeVar("_R")

Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


class Required:
    """Default of an argument that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor or function.

    Attributes:
        name: Name of the argument.
        kinds: The plain types that it accepts: of `int`, `float`, `str` and `bool`. Empty for an
            argument that takes objects only, such as a model.
        optional: Whether `None` is accepted.
        default: Default of the argument, or `REQUIRED`.
        choices: The values that it accepts, where its type is a `Literal`.
        registered: Kind of registered unit that its value names, or `None`.
        help: Text under `Args:`, empty where there is none.
    """

    name: str
    kinds: tuple[type, ...] = ()
    optional: bool = False
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    registered: str | None = None
    help: str = ""

    @property
    def is_setting(self) -> bool:
        """Whether its value can be written down."""
        return bool(self.kinds)


@dataclass(frozen=True)
class Source:
    """A file that was read, not run.

    Attributes:
        path: The file.
        docstring: Docstring of the file.
        names: What it defines or imports at its top level.
    """

    path: Path
    docstring: str
    names: dict[str, ast.stmt]

    @property
    def public(self) -> list[str]:
        """The names in `__all__`; without one, what it defines under a public name."""
        listed = self.names.get("__all__")
        if isinstance(listed, ast.Assign):
            return list(ast.literal_eval(listed.value))
        return [
            name
            for name, node in self.names.items()
            if not name.startswith("_") and isinstance(node, Definition)
        ]


@functools.cache
def read_source(path: Path) -> Source:
    """Parses a file once."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, ast.stmt] = {}
    for node in tree.body:
        # A package's public names may stand below `if TYPE_CHECKING:`.
        for statement in node.body if isinstance(node, ast.If) else [node]:
            names |= dict.fromkeys(_bound(statement), statement)
    return Source(path, ast.get_docstring(tree) or "", names)


def arguments_of(path: Path, name: str) -> dict[str, Argument]:
    """Arguments of a class's constructor or of a function, by name and in order.

    Args:
        path: The file that defines it.
        name: Name of the object there. An object that is no class and no function takes none.
    """
    found = _resolve(read_source(path), name)
    if found is None:
        return {}
    source, node = found
    if isinstance(node, ast.FunctionDef):
        other = _lender(node)
        if other is not None:
            return arguments_of(source.path, other)
        return _signature(source, node, _texts(ast.get_docstring(node)))
    if not isinstance(node, ast.ClassDef):
        return {}
    return _constructor(source, node)


def takes_arguments_of(
    other: Callable[_P, _R],
) -> Callable[[Callable[..., _R]], Callable[_P, _R]]:
    """Gives a function the arguments of another one: names, defaults, types and texts.

    Args:
        other: Function whose signature and `Args:` stand for both.

    Returns:
        A decorator; the decorated function is called with every argument by name.
    """
    signature = inspect.signature(other)

    def decorate(function: Callable[..., _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*given: _P.args, **named: _P.kwargs) -> _R:
            bound = signature.bind(*given, **named)
            bound.apply_defaults()
            return function(**bound.arguments)

        call.__signature__ = signature  # type: ignore[attr-defined]
        section = (inspect.getdoc(other) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
        call.__doc__ = f"{inspect.getdoc(function)}\n\nArgs:\n{section}\n"
        return call

    return decorate


def attribute_of(path: Path, name: str, attribute: str) -> Any:
    """A class's attribute that is written as a literal, its own or inherited.

    Args:
        path: The file that defines the class.
        name: Name of the class there.
        attribute: Name of the attribute.

    Returns:
        The value, `None` where there is no such attribute.
    """
    found = _resolve(read_source(path), name)
    for _, node in _lineage(*found) if found else ():
        for statement in node.body:
            if attribute in _bound(statement) and isinstance(statement, ast.Assign | ast.AnnAssign):
                return ast.literal_eval(statement.value) if statement.value is not None else None
    return None


def _lender(node: ast.FunctionDef) -> str | None:
    """The function whose arguments a decorated one takes."""
    for decorator in node.decorator_list:
        called = ast.unparse(decorator.func) if isinstance(decorator, ast.Call) else ""
        if isinstance(decorator, ast.Call) and called == takes_arguments_of.__name__:
            return ast.unparse(decorator.args[0])
    return None


def _constructor(source: Source, node: ast.stmt) -> dict[str, Argument]:
    """The nearest `__init__`; texts that the class leaves out are those of its bases."""
    lineage = list(_lineage(source, node))
    texts: dict[str, str] = {}
    for _, kind in reversed(lineage):
        texts |= _texts(ast.get_docstring(kind))
    for where, kind in lineage:
        for statement in kind.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                return _signature(where, statement, texts)
    return {}


def _lineage(source: Source, node: ast.stmt) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The class and the bases that lie in this package, nearest first."""
    if not isinstance(node, ast.ClassDef):
        return
    yield source, node
    for base in node.bases:
        found = _resolve(source, base.id) if isinstance(base, ast.Name) else None
        if found is not None:
            yield from _lineage(*found)


def _signature(
    source: Source, function: ast.FunctionDef, texts: dict[str, str]
) -> dict[str, Argument]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    missing = [None] * (len(positional) - len(given.defaults))
    defaults = [*missing, *given.defaults, *given.kw_defaults]
    pairs = zip([*positional, *given.kwonlyargs], defaults, strict=True)
    return {
        item.arg: _argument(source, item, default, texts.get(item.arg, ""))
        for item, default in pairs
        if item.arg != "self"
    }


def _argument(source: Source, item: ast.arg, default: ast.expr | None, text: str) -> Argument:
    argument = replace(_typed(source, item.annotation), name=item.arg, help=text)
    if default is None:
        return argument
    return replace(argument, default=_value(source, default) if argument.kinds else None)


def _value(source: Source, node: ast.expr) -> Any:
    """A default that is a literal, or the name of one."""
    if isinstance(node, ast.Name):
        found = _resolve(source, node.id)
        if found is not None and isinstance(found[1], ast.Assign):
            return _value(found[0], _assigned(found[1], node.id))
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise TypeError(
            f"{source.path}:{node.lineno}: the default of a setting must be a literal or the "
            f"name of one. Received: {ast.unparse(node)}."
        ) from error


def _assigned(node: ast.Assign, name: str) -> ast.expr:
    """What a name is bound to, also as one of several: `A, B = "a", "b"`."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for part, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(part, ast.Name) and part.id == name:
                    return value
    return node.value


def _typed(source: Source, node: ast.expr | None) -> Argument:
    """What a type accepts, as an argument without a name."""
    if isinstance(node, ast.Constant) and node.value is None:
        return Argument("", optional=True)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(_typed(source, node.left), _typed(source, node.right))
    if isinstance(node, ast.Name):
        if node.id in _PLAIN:
            return Argument("", kinds=(_PLAIN[node.id],))
        found = _resolve(source, node.id)
        if found is not None and isinstance(found[1], ast.Assign | ast.AnnAssign):
            return _typed(found[0], found[1].value)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return _subscript(source, node.value.id, node.slice)
    return Argument("")


def _subscript(source: Source, name: str, inside: ast.expr) -> Argument:
    """`Literal["a", "b"]` and `Annotated[str, Registered("kind")]`."""
    parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    if name == "Literal":
        values = tuple(ast.literal_eval(part) for part in parts)
        kinds = tuple(dict.fromkeys(type(value) for value in values))
        return Argument("", kinds=kinds, choices=values)
    if name == "Annotated":
        mark = parts[1]
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("Registered"):
            return Argument("", kinds=(str,), registered=ast.literal_eval(mark.args[0]))
        return _typed(source, parts[0])
    return Argument("")


def _union(left: Argument, right: Argument) -> Argument:
    kinds = tuple(dict.fromkeys((*left.kinds, *right.kinds)))
    # A type of free text beside a list of values leaves no list.
    free = [side for side in (left, right) if side.kinds and not side.choices]
    return Argument(
        "",
        kinds=kinds,
        optional=left.optional or right.optional,
        choices=() if free else (*left.choices, *right.choices),
        registered=left.registered or right.registered,
    )


def _resolve(source: Source, name: str) -> tuple[Source, ast.stmt] | None:
    """Where a name is defined, through imports within this package; `None` outside of it."""
    node = source.names.get(name)
    if not isinstance(node, ast.ImportFrom):
        return None if node is None or isinstance(node, ast.Import) else (source, node)
    path = _module_file(node.module or "", source.path if node.level else None, node.level)
    if path is None:
        return None
    original = next(item.name for item in node.names if (item.asname or item.name) == name)
    return _resolve(read_source(path), original)


def _module_file(module: str, beside: Path | None, level: int) -> Path | None:
    parts = module.split(".") if module else []
    if beside is not None:
        base = beside.parents[level - 1]
    elif parts[:1] == [_ROOT.name]:
        base, parts = _ROOT, parts[1:]
    else:
        return None
    path = base.joinpath(*parts)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _bound(node: ast.stmt) -> list[str]:
    """Names that a statement binds."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        parts = [part for item in node.targets for part in getattr(item, "elts", [item])]
        return [part.id for part in parts if isinstance(part, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [item.asname or item.name for item in node.names]
    return []


def _texts(docstring: str | None) -> dict[str, str]:
    """`{argument: text}` of the section `Args:`."""
    _, _, after = (docstring or "").partition("\nArgs:\n")
    texts: dict[str, list[str]] = {}
    for line in after.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            texts[entry[1]] = [entry[2]]
        elif line.startswith("     ") and texts:
            texts[list(texts)[-1]].append(line.strip())
        elif line.strip():
            break
    return {name: " ".join(lines).replace("`", "") for name, lines in texts.items()}
