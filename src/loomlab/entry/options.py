"""`loom options [AXIS]`: every option with its description and defaults; `--matrix`: what fits."""

from __future__ import annotations

from loomlab.catalog.axes import OF_OTHER_VERBS, Axis
from loomlab.catalog.matrix import matrix_table
from loomlab.catalog.options import Catalog, default_options
from loomlab.catalog.search import all_conf_dirs, install_search_path
from loomlab.catalog.source import MISSING
from loomlab.catalog.yaml_file import mapping
from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError, did_you_mean


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(prog="loom options", description="List the options of every axis.")
    arguments.add_argument("axis", nargs="?", help="only this axis, with settings and defaults")
    arguments.add_argument(
        "--matrix", action="store_true", help="print which options do not go together, and why"
    )
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    install_search_path([])
    catalog = Catalog(all_conf_dirs())
    if options.matrix:
        print(matrix_table(catalog))
        return 0
    names = [*(a.name for a in catalog.axes), *OF_OTHER_VERBS]
    if options.axis and options.axis not in names:
        raise InputError(f"there is no axis '{options.axis}'; {did_you_mean(options.axis, names)}")
    for name in [options.axis] if options.axis else names:
        print("\n".join(_axis_lines(catalog, name, settings=bool(options.axis))))
    return 0


def _axis_lines(catalog: Catalog, name: str, settings: bool) -> list[str]:
    """An axis with its options, one line each, and their settings where asked for."""
    declared = catalog.axis(name)
    several = ", several at once" if declared and declared.multiple else ""
    kind = declared.kind if declared else f"loom {OF_OTHER_VERBS[name]}"
    lines = [f"{name} ({kind}{several})"]
    for option in catalog.options.get(name, []):
        star = "*" if default_options().get(name) == option else " "
        lines.append(f" {star} {option:<16} {catalog.describe(name, option)}")
        source = catalog.source(name, option)
        if settings and source is not None:
            changed = catalog.preset(name, option)
            for key, parameter in source.settings().items():
                value = changed.get(key, parameter.default)
                default = "" if value is MISSING else f" = {value}"
                lines.append(f"       {name}.{_path(declared, option)}{key}{default}")
            space = mapping(catalog.space(name, option) or "")[0]
            lines += [f"       sweep.search=[{name}] tries {k}={v}" for k, v in space.items()]
    return lines


def _path(declared: Axis | None, option: str) -> str:
    return f"{option}." if declared is not None and declared.multiple else ""
