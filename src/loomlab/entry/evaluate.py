"""`loom evaluate RUN_DIR`: held-out numbers of a finished run, by the code training used."""

from __future__ import annotations

from loomlab import strict_json
from loomlab.entry.arguments import Arguments, whole


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom evaluate",
        description="Score the best weights of a run on its held-out text.",
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument(
        "--batches", type=whole(1), help="only the first so many batches (default: all)"
    )
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.evaluation import evaluate
    from loomlab.run.finished_run import FinishedRun

    finished = FinishedRun(options.run_dir)
    objective, corpus = finished.with_corpus()
    bf16 = finished.folder.summary().get("precision") == "bf16-mixed"
    numbers = evaluate(objective, corpus, bf16, options.batches)
    if options.json:
        print(strict_json.dumps(numbers))
    else:
        width = max(20, *map(len, numbers))
        for name, value in numbers.items():
            print(f"{name:<{width}} {value:.6f}")
    return 0
