"""`loom dashboard publish SWEEP`: views of a sweep at W&B, from code."""

from __future__ import annotations

import json
from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(prog="loom dashboard", description="Views of a sweep at W&B.")
    actions = arguments.add_subparsers(dest="action", required=True, metavar="publish")
    what = ("Build a workspace and a report of a sweep at W&B: ranking, curves against tokens, "
            "FLOPs and seconds, parallel coordinates of what was swept, quality against cost. "
            "Published again, both are brought up to date.")  # fmt: skip
    publish = actions.add_parser("publish", help="a workspace and a report", description=what)
    publish.add_argument("sweep", type=Path, metavar="SWEEP", help="folder of `loom train -m`")
    publish.add_argument("--entity", help="user or team; default: that of the runs, or of the key")
    publish.add_argument("--project", help="default: that of the runs")
    publish.add_argument("--new", action="store_true", help="make new ones, leave the old alone")
    publish.add_argument("--print", action="store_true", dest="show",
                         help="print both as JSON, without a key or a network")  # fmt: skip
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    import importlib.util

    options = parser().parse_args(argv)
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise InputError(
            "loom dashboard needs the package wandb-workspaces: run `pip install "
            "'loomlab[dashboard]'`; `loom report` and `loom dash` need nothing more"
        )
    from loomlab.report.workspace import as_plain, subject

    of = subject(options.sweep, options.entity, options.project)
    if options.show:
        print(json.dumps(as_plain(of), indent=2))
        return 0
    from loomlab.report.workspace_publish import publish

    for kind, url in publish(of, options.sweep, options.new).items():
        print(f"{kind}: {url}")
    return 0
