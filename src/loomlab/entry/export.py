"""`loom export RUN_DIR format=NAME`: the model of a run in another format, verified."""

from __future__ import annotations

import sys
from typing import Any

from loomlab import strict_json
from loomlab.catalog.axes import all_options, option_content, option_target
from loomlab.catalog.search import all_conf_dirs
from loomlab.entry.arguments import Arguments, whole
from loomlab.errors import InputError, did_you_mean


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom export",
        description="Write the model of a run to RUN_DIR/exports/NAME, read it in a fresh process "
        "and compare it with the run on held-out text; an export that is not the same is deleted.",
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument(
        "format", metavar="format=NAME",
        help="safetensors, onnx, onnx_int8, torch_export, aot_inductor (files in conf/format)",
    )  # fmt: skip
    arguments.add_argument(
        "--batches", type=whole(1), default=8,
        help="held-out batches the perplexity, or the error of numbers, is taken on",
    )  # fmt: skip
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code is 1 if the export did not compute the same."""
    options = parser().parse_args(argv)
    name = options.format.removeprefix("format=")
    node = format_node(name)
    from loomlab.run.exporting import export

    try:
        found = export(options.run_dir, name, node, options.batches)
    except RuntimeError as error:
        print(f"loom export: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(strict_json.dumps(found))
        return 0
    print(found["folder"])
    print(f"largest difference of a logit  {found['max_difference']:.2g}")
    quality = next(name for name in ("perplexity", "rmse") if name in found)
    for name, shown in ((quality, ".4f"), ("bytes", ",.0f"), ("milliseconds", ".2f")):
        what = "milliseconds for one row" if name == "milliseconds" else name
        print(f"{what:<30} {found[name]:{shown}} ({found[f'{name}_before']:{shown}} before)")
    return 0


def format_node(name: str) -> dict[str, Any]:
    """`_target_` and settings of the format that conf/format/NAME.yaml describes.

    Raises:
        InputError: there is none of that name.
    """
    folders = all_conf_dirs()
    known = all_options(folders)["format"]
    if name not in known:
        hint = did_you_mean(name, known, "formats")
        raise InputError(f"format={name}: there is no such format; {hint}")
    content = dict(option_content(tuple(folders), "format", name))
    content.pop("defaults", None)
    return content | {"_target_": option_target(tuple(folders), "format", name)}
