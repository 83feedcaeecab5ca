"""`loom fill RUN_DIR "text with [MASK]"`: likely words for the masks, from a trained encoder."""

from __future__ import annotations

from loomlab.entry.arguments import Arguments, text, whole


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom fill", description="Fill every [MASK] of a text with the model of a run."
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument("text", type=text, help="text with [MASK] where words are missing")
    arguments.add_argument(
        "--top", type=whole(1, 100), default=5, help="candidates to show for each mask"
    )
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.finished_run import FinishedRun
    from loomlab.text.generation import fill_masks

    finished = FinishedRun(options.run_dir)
    finished.require("masked_lm")
    filled = fill_masks(finished.ready(), finished.tokenizer, options.text, options.top)
    print(filled.text)
    for number, candidates in enumerate(filled.candidates, start=1):
        words = "  ".join(f"{word} {probability:.3f}" for word, probability in candidates)
        print(f"  mask {number}: {words}")
    return 0
