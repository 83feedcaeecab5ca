"""`loom compress RUN_DIR compression=[...]`: post-training techniques on finished weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.entry.arguments import Arguments
from loomlab.entry.compress_source import beginning_of, refusals
from loomlab.errors import InputError

if TYPE_CHECKING:
    from loomlab.run.folder import RunFolder


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom compress",
        description="Compress a finished run, or a model folder in Transformers layout, without "
        "training; what comes out is a run folder like any other.",
    )
    arguments.add_argument(
        "source",
        metavar="RUN_DIR",
        help="folder of a finished run, or of a Transformers model, "
        "or an option of model= that ships with weights, such as smollm2",
    )
    arguments.add_argument(
        "overrides", nargs="+", metavar="OVERRIDE",
        help="compression=[...], settings of its options, paths.output_dir=...; for a "
        "Transformers model also corpus=... and what else it is measured by",
    )  # fmt: skip
    arguments.add_argument(
        "-m", "--multirun", action="store_true",
        help="a sweep: every stack of compression=[prune_wanda],[prune_wanda,quantize_int8] is a "
        "run of its own in the folder paths.sweep_dir=...",
    )  # fmt: skip
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_intermixed_args(argv)
    from loomlab.run.output import withdrawn_when_refused

    source = Path(options.source)
    beginning = beginning_of(source, options.overrides)
    if options.multirun:
        return _sweep(source, beginning, options.overrides)
    folder = compress_one([*beginning, *options.overrides], withdrawn_when_refused)
    print(table(folder.summary()["compressed"]))
    print(f"everything is in {folder.path}")
    return 0


def compress_one(
    overrides: list[str],
    around: Callable[[Path], AbstractContextManager[Any]] | None = None,
) -> RunFolder:
    """One compression, in this process; `around` is entered for a folder that must be new.

    Raises:
        InputError: it is refused.
    """
    from loomlab.catalog.search import all_conf_dirs
    from loomlab.compose.composer import prepare
    from loomlab.compose.gate import check
    from loomlab.run.moving_in import claim
    from loomlab.run.output import probe
    from loomlab.run.prepared import prepare_folder
    from loomlab.run.session import execute

    prepare([])
    checked = check(overrides)
    checked.refuse(refusals)
    config = checked.only()
    if around and not config.compression:
        raise InputError("compression is empty: say what to do, as in compression=[quantize_int8]")
    output = Path(str(config.hydra.run.dir))
    probe(output, "paths.output_dir")
    claim(output, config.overwrite)
    config.paths.output_dir = str(output)
    with around(output) if around else nullcontext():
        folder, plain = prepare_folder(config, overrides, all_conf_dirs()[1:])
        execute(plain, folder, trains=False)
    return folder


def _sweep(source: Path, beginning: list[str], overrides: list[str]) -> int:
    """Many stacks on one source: planned and recorded here, each run in a process of its own.

    An empty stack is a job like the others: the model as it is, measured as they are.
    """
    from loomlab.entry.checked import OF_SWEEP, names_folder
    from loomlab.run.output import probe
    from loomlab.sweep.plan import plan
    from loomlab.sweep.run import prepare_sweep, run_recorded

    made = plan([*beginning, *overrides], wrong=refusals)
    made.verb, made.arguments = "compress", overrides
    made.named = names_folder(overrides, OF_SWEEP)
    made.jobs = [replace(job, tokens=None) for job in made.jobs]  # none are trained on
    probe(made.folder, "paths.sweep_dir")
    given = str(source.absolute() if source.exists() else source)
    return run_recorded() if prepare_sweep(made, [given]) else 0


def table(compressed: dict[str, dict[str, float]]) -> str:
    """Before and after, side by side."""
    before, after = compressed["before"], compressed["after"]
    lines = [f"{'':<18} {'before':>14} {'after':>14}"]
    for name, value in after.items():
        was = f"{before[name]:>14,.6g}" if name in before else f"{'':>14}"
        lines.append(f"{name:<18} {was} {value:>14,.6g}")
    return "\n".join(lines)
