"""`loom wandb-sweep`: a sweep as a file for `wandb sweep`, for agents to start its runs."""

from __future__ import annotations

from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom wandb-sweep",
        usage="loom wandb-sweep [OVERRIDE ...] [--output FILE]",
        description="Write the sweep that `loom train -m OVERRIDES` would run as a sweep of W&B: "
        "sweep=grid, random or optuna (W&B's Bayesian search). Every job is checked first. Then: "
        "`wandb sweep FILE`, and on each machine the `wandb agent ID` that it names.",
    )
    arguments.add_argument("overrides", nargs="*", help="as of `loom train -m`")
    arguments.add_argument("--output", type=Path, metavar="FILE", help="default: print it")
    arguments.add_argument("--config-dir", metavar="DIR", help="a folder of more options")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_intermixed_args(argv)
    import yaml

    from loomlab.sweep.wandb_file import sweep_file

    flags = ["--config-dir", options.config_dir] if options.config_dir else []
    text = yaml.safe_dump(sweep_file(options.overrides, flags), sort_keys=False, width=99)
    if options.output is None:
        print(text, end="")
        return 0
    try:
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--output {options.output} cannot be written: {error.strerror}"
        ) from None
    print(f"wrote {options.output}; next: wandb sweep {options.output}")
    return 0
