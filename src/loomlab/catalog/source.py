"""Read what a class says of itself from its source text, without importing it.

Importing Lightning alone costs four seconds, so settings, descriptions and compatibility
attributes of every option are parsed, not imported.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from loomlab.errors import first_line

MISSING = object()


class SourceError(LookupError):
    """The target of a `_target_` cannot be found or read."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor, as written."""

    name: str
    annotation: ast.expr | None
    default: Any = MISSING
    keyword_only: bool = False


@dataclass
class ClassSource:
    """What the text of a class (or function) tells: parameters, attributes, first doc line."""

    target: str
    summary: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    methods: set[str] = field(default_factory=set)
    takes_any_keyword: bool = False
    origin: str = ""  # where it is defined, when the target names a re-export
    is_class: bool = False
    is_callback: bool = False  # of Lightning, by the name of a base

    def settings(self) -> dict[str, Parameter]:
        """Parameters a config may set: those before the `*`, which have a default."""
        return {n: p for n, p in self.parameters.items() if not p.keyword_only}


def read_target(target: str) -> ClassSource:
    """Read the class or function named by a dotted path.

    Raises:
        SourceError: no such module, or nothing of that name in it.
    """
    module, _, name = target.rpartition(".")
    if not module:
        raise SourceError(f"'{target}' is not a dotted path to a class")
    return _read(module, name, target)


@cache
def _module(name: str) -> tuple[ast.Module, bool] | None:
    """The parsed text of a module and whether it is a package; None where there is none."""
    root, *rest = name.split(".")
    if not root:
        return None
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        path = Path(spec.origin) if spec.origin else None
        return _parse(path, path is not None and path.name == "__init__.py")
    for base in spec.submodule_search_locations or ():
        stem = Path(base, *rest)
        for path, package in ((stem.with_suffix(".py"), False), (stem / "__init__.py", True)):
            if path.is_file():
                return _parse(path, package)
    return None


def _parse(path: Path | None, package: bool) -> tuple[ast.Module, bool] | None:
    if path is None or path.suffix != ".py":
        return None
    try:
        return ast.parse(path.read_text(encoding="utf-8")), package
    except (SyntaxError, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path} cannot be read: {first_line(error)}") from error


@cache
def _read(module: str, name: str, target: str) -> ClassSource:
    parsed = _module(module)
    if parsed is None:
        raise SourceError(f"there is no module '{module}' to take '{name}' from")
    tree, package = parsed
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            source = _read_class(node, module, package, tree, target)
            source.origin, source.is_class = f"{module}.{name}", True
            return source
        if isinstance(node, ast.FunctionDef) and node.name == name:
            source = ClassSource(target, _summary(node), origin=f"{module}.{name}")
            _take_arguments(source, node.args, skip=0)
            return source
    origin = _imports(tree, module, package).get(name)
    if origin is None:
        raise SourceError(f"module '{module}' has no '{name}'")
    return _read(*origin, target)


def _imports(tree: ast.Module, module: str, package: bool) -> dict[str, tuple[str, str]]:
    """Names a module imports from elsewhere: local name -> (module, name there)."""
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            up = node.level - 1 if package else node.level
            base = ".".join([*parts[: len(parts) - up], *([base] if base else [])])
        for alias in node.names:
            found[alias.asname or alias.name] = (base, alias.name)
    return found


def _read_class(
    node: ast.ClassDef, module: str, package: bool, tree: ast.Module, target: str
) -> ClassSource:
    source = ClassSource(target, _summary(node))
    bases = list(_bases(node, module, package, tree))
    source.is_callback = any(ast.unparse(b).rpartition(".")[2] == "Callback" for b in node.bases)
    constructor = None
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            source.methods.add(item.name)
            if item.name == "__init__":
                constructor = item
        name, value = _assignment(item)
        if name and value is not None:
            literal = _literal(value)
            if literal is not MISSING:
                source.attributes[name] = literal
    if constructor is not None:
        _take_arguments(source, constructor.args, skip=1)
    elif any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        _take_fields(source, node)
    inherit_parameters = constructor is None or source.takes_any_keyword
    for base in bases:
        _inherit(source, base, inherit_parameters)
    return source


def _inherit(source: ClassSource, base: ClassSource, parameters: bool) -> None:
    """Take over what the base declares and the class itself does not."""
    for name, value in base.attributes.items():
        source.attributes.setdefault(name, value)
    source.methods |= base.methods
    source.is_callback |= base.is_callback
    if parameters:
        for name, parameter in base.parameters.items():
            source.parameters.setdefault(name, parameter)
        source.takes_any_keyword = base.takes_any_keyword


def _bases(node: ast.ClassDef, module: str, package: bool, tree: ast.Module) -> Any:
    """The readable bases: those in the same file or imported by name from a package."""
    local = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    imports = _imports(tree, module, package)
    for base in node.bases:
        if not isinstance(base, ast.Name):
            continue
        try:
            if base.id in local and base.id != node.name:
                yield _read(module, base.id, f"{module}.{base.id}")
            elif base.id in imports:
                origin = imports[base.id]
                if origin[0].split(".")[0] == module.split(".")[0] or _is_own(origin[0]):
                    yield _read(*origin, ".".join(origin))
        except SourceError:
            continue


def _is_own(module: str) -> bool:
    return module.split(".")[0] == "loomlab"


def _assignment(item: ast.stmt) -> tuple[str, ast.expr | None]:
    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
        return item.targets[0].id, item.value
    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        return item.target.id, item.value
    return "", None


def _take_fields(source: ClassSource, node: ast.ClassDef) -> None:
    """Parameters of a dataclass: its annotated fields."""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            default = MISSING if item.value is None else _literal(item.value)
            source.parameters[item.target.id] = Parameter(item.target.id, item.annotation, default)


def _take_arguments(source: ClassSource, args: ast.arguments, skip: int) -> None:
    positional = [*args.posonlyargs, *args.args][skip:]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    for arg, value in zip(positional, [*padding, *args.defaults], strict=True):
        source.parameters[arg.arg] = Parameter(arg.arg, arg.annotation, _default(value))
    for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        source.parameters[arg.arg] = Parameter(arg.arg, arg.annotation, _default(value), True)
    source.takes_any_keyword = args.kwarg is not None


def _default(value: ast.expr | None) -> Any:
    return MISSING if value is None else _literal(value)


def _literal(value: ast.expr) -> Any:
    """The value of a literal expression, MISSING for anything else."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return MISSING


def _summary(node: ast.ClassDef | ast.FunctionDef) -> str:
    doc = ast.get_docstring(node) or ""
    return doc.strip().split("\n\n")[0].replace("\n", " ")
