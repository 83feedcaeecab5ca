"""`loom generate RUN_DIR --prompt ...`: text from a trained decoder."""

from __future__ import annotations

import sys
from typing import Any

from loomlab.entry.arguments import Arguments, text, whole, within


def parser() -> Arguments:
    """The verb's arguments; the names are those of Transformers' `generate`."""
    arguments = Arguments(
        prog="loom generate",
        description="Continue a prompt with the model of a run, through Transformers' generate.",
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument("--prompt", type=text, default="", help="text to continue")
    arguments.add_argument("--max-new-tokens", type=whole(1), default=100)
    arguments.add_argument("--temperature", type=within(1e-3, 100), default=1.0)
    arguments.add_argument("--top-k", type=whole(0), default=0, help="0: all tokens")
    arguments.add_argument("--top-p", type=within(0, 1), default=0.95)
    arguments.add_argument(
        "--beams", type=whole(1), default=1, help="beam search with so many beams"
    )
    arguments.add_argument("--greedy", action="store_true", help="always the likeliest token")
    arguments.add_argument("--count", type=whole(1), default=1, help="how many texts")
    arguments.add_argument("--seed", type=whole(0, 2**63 - 1), default=0)
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    import torch

    from loomlab.run.finished_run import FinishedRun
    from loomlab.text.generation import continue_text, prompt_ids, readable_length

    finished = FinishedRun(options.run_dir)
    finished.require("causal_lm")
    length = prompt_ids(finished.tokenizer, options.prompt).shape[1] + options.max_new_tokens
    limit = readable_length(finished.model)
    if limit is not None and length > limit:
        print(
            f"loom generate: the model reads {limit} tokens at a time, prompt and continuation "
            f"may have {length}: it goes on from the end of the text",
            file=sys.stderr,
        )
    torch.manual_seed(options.seed)
    for number in range(options.count):
        written = continue_text(
            finished.ready(),
            finished.tokenizer,
            options.prompt,
            max_new_tokens=options.max_new_tokens,
            **_strategy(options),
        )
        print(written if options.count == 1 else f"--- {number + 1}\n{written}")
    return 0


def _strategy(options: Any) -> dict[str, Any]:
    """How tokens are picked: sampling unless greedy or beams are asked for."""
    if options.greedy or options.beams > 1:
        return {"do_sample": False, "num_beams": options.beams}
    return {
        "do_sample": True,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
    }
