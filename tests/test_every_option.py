"""Every option of every axis, as found on disk: it composes, trains a step, and is recorded.

Options of axes that have little to do with each other are trained together, each one alone by
`make soak`.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.catalog.axes import AXES, axis
from loomlab.catalog.compatibility import Pick, pair_refusal
from loomlab.catalog.options import Catalog, default_options
from loomlab.catalog.search import all_conf_dirs, package_conf
from loomlab.catalog.source import read_target
from loomlab.compose.gate import check
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import COST_COLUMNS, read_metrics
from loomlab.text.cache import default_cache_dir

Picks = tuple[tuple[str, str], ...]  # axis and option
Job = Callable[[Picks], list[str]]
OPTIONS = [
    (a.name, path.stem) for a in AXES for path in sorted((package_conf() / a.name).glob("*.yaml"))
]
TINY_MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
REVIEWS = Path(__file__).parent / "data" / "reviews.csv"
ALICE, TAGGED, MEALS = (
    REVIEWS.with_name(name) for name in ("alice.txt", "words.conll", "meals.csv")
)
HF_GPT2 = ["model.architecture_type=gpt2", "++model.config={n_layer:1,n_embd:16,n_head:2}"]
# What an option cannot do without; all else is tiny and the same for all.
COMPANIONS = {
    "model/bert": ["objective=mlm", *TINY_MODEL],
    "model/bert_base": ["objective=mlm", *TINY_MODEL],
    "model/bert_tiny": ["objective=mlm", *TINY_MODEL],
    "model/gpt_small": TINY_MODEL,
    "model/gpt_tiny": TINY_MODEL,
    "model/hf": HF_GPT2,
    "model/minilm": ["objective=mlm"],
    "model/smollm2": [],
    "model/ngram": [],
    "objective/mlm": ["model=bert", *TINY_MODEL],
    "objective/classification": ["corpus=labelled", f"corpus.path={REVIEWS}", *TINY_MODEL],
    "objective/regression": [
        *("corpus=labelled", f"corpus.path={MEALS}", "corpus.label_key=stars", *TINY_MODEL),
    ],
    "objective/token_classification": ["corpus=tagged", f"corpus.path={TAGGED}", *TINY_MODEL],
    "corpus/tagged": [f"corpus.path={TAGGED}", *TINY_MODEL],
    "corpus/labelled": [f"corpus.path={REVIEWS}", *TINY_MODEL],
    "corpus/python_stdlib": [
        *("corpus.max_bytes=200000", "corpus.validation_every=4", *TINY_MODEL),
    ],
    "corpus/mixture": [
        *("corpus.parts=[text,python_stdlib]", "corpus.of.python_stdlib.max_bytes=200000"),
        *("corpus.of.python_stdlib.validation_every=4", f"corpus.of.text.path={ALICE}"),
        *TINY_MODEL,
    ],
    "corpus/rotten_tomatoes": [f"paths.cache_dir={default_cache_dir()}", *TINY_MODEL],
    "callbacks/samples": ["sequence_length=64", *TINY_MODEL],
    "corpus/factbook": [f"paths.cache_dir={default_cache_dir()}", *TINY_MODEL],
    "corpus/gutenberg": [
        *("corpus.book_cap=20000", f"paths.cache_dir={default_cache_dir()}", *TINY_MODEL),
    ],
    "tokenizer/byte_bpe": ["tokenizer.vocab_size=300", *TINY_MODEL],
    "tokenizer/unigram": ["tokenizer.vocab_size=512", *TINY_MODEL],
    "tokenizer/wordpiece": ["tokenizer.vocab_size=300", *TINY_MODEL],
    "parallelism/ddp": ["parallelism.devices=2", *TINY_MODEL],
    "parallelism/local_sgd": TINY_MODEL,
    "parallelism/pipeline": ["model.layers=2", *TINY_MODEL[1:]],
    "compression/distill": ["compression.distill.teacher=self", *TINY_MODEL],
    "compression/lottery_ticket": ["compression.lottery_ticket.rounds=2", *TINY_MODEL],
    "debug/one_step": ["budget.steps=1", *TINY_MODEL],
    "debug/overfit": ["budget.steps=2", *TINY_MODEL],
    "debug/limit": TINY_MODEL,
    "debug/profile": TINY_MODEL,
    "debug/shapes": TINY_MODEL,
    "logger/many": TINY_MODEL,
    "experiment/quickstart": ["budget.tokens=null", "budget.steps=2", *TINY_MODEL],
}
PROCESSES = [
    ("parallelism", o) for o in ("ddp", "fsdp2", "fsdp2_tp", "local_sgd", "pipeline", "tp")
]  # have tests of their own
ALONE = ("model", "objective", "debug", "experiment")  # bring options of other axes
SLOW = ("compile", "default")
# What compression does to the weights must not hide that they were not trained.
OF_DATA = ("corpus", "tokenizer", "compression")


def together(options: list[tuple[str, str]]) -> list[Picks]:
    """Rows of options that fit together, one of each axis, until all are in one."""
    catalog, defaults, rows, left = Catalog(all_conf_dirs()), default_options(), [], list(options)

    def pick(name: str, option: str) -> Pick | None:
        source = catalog.source(name, option)
        return source and Pick(name, option, source, catalog.preset(name, option))

    def fits(one: tuple[str, str], other: tuple[str, str]) -> bool:
        left, right = pick(*one), pick(*other)
        return left is None or right is None or not pair_refusal(left, right, defaults)

    while left:
        row: list[tuple[str, str]] = []
        for found in left:
            if found[0] not in dict(row) and all(fits(found, other) for other in row):
                row.append(found)
        left = [found for found in left if found not in row]
        rows.append(tuple(row))
    return rows


BY_THEMSELVES = [o for o in OPTIONS if o[0] in ALONE]
SHARED = [o for o in OPTIONS if o not in (*BY_THEMSELVES, *PROCESSES, SLOW)]
ROWS = [
    *((o,) for o in BY_THEMSELVES),
    *together([o for o in SHARED if o[0] in OF_DATA]),
    *together([o for o in SHARED if o[0] not in OF_DATA]),
]
REST = [(o,) for o in (*SHARED, SLOW) if (o,) not in ROWS]
SUMMARY = {
    *("schema_version", "status", "choice", "final", "best", "steps", "seconds", "parameters"),
    *("tokens", "flops", "peak_memory_bytes", "training_seconds", "compression", "corpus"),
    *("versions", "machine", "git"),
}


def selected(name: str, option: str) -> str:
    declared = axis(name)
    assert declared is not None
    return f"{name}=[{option}]" if declared.multiple else f"{name}={option}"


@pytest.fixture
def job(tiny: Callable[..., list[str]], offline_settings: Callable[..., list[str]]) -> Job:
    """Overrides of a tiny run with options."""

    def overrides(picks: Picks) -> list[str]:
        text = dict(picks).get("corpus", "text") == "text"
        given = [o for o in tiny() if text or not o.startswith("corpus")]
        for name, option in picks:
            companions = COMPANIONS.get(f"{name}/{option}", TINY_MODEL)
            given += [selected(name, option), *companions, *offline_settings(name, option)]
        return given

    return overrides


def compose(overrides: list[str]) -> DictConfig:
    """The config of what passes the gates, which write nothing."""
    from loomlab.run.prepared import record_choice

    checked = check(overrides)
    assert not checked.problems, checked.message()
    config = record_choice(checked.configs[0])
    assert not Path(config.paths.output_dir).exists()
    return config


def initial_weights(config: DictConfig) -> dict[str, torch.Tensor]:
    """The weights the run starts from: the same seed, the same data, the same model."""
    import pytorch_lightning as pl

    from loomlab.run.assembly import build_model, open_corpus

    pl.seed_everything(config.seed, verbose=False)
    return build_model(config, open_corpus(config)).state_dict()


def train(overrides: list[str]) -> tuple[RunFolder, DictConfig]:
    from loomlab.run.session import execute

    config = compose(overrides)
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, overrides)
    execute(config, folder)
    return folder, config


def test_discovery_finds_every_axis_that_has_options():
    catalog = Catalog(all_conf_dirs())
    assert {name for name, _ in OPTIONS} == {a.name for a in AXES if a.name in catalog.options}
    assert {"gpt", "bert", "gpt_small"} <= {option for name, option in OPTIONS if name == "model"}
    assert set(COMPANIONS) <= {f"{name}/{option}" for name, option in OPTIONS}


@pytest.mark.parametrize("option", PROCESSES, ids=lambda word: word[1])
def test_option_of_several_processes_passes_the_gates(option: tuple[str, str], job: Job):
    compose(job((option,)))


def label(picks: Picks) -> str:
    return "-".join(picks[0] if len(picks) == 1 else (option for _, option in picks))


@pytest.mark.parametrize("picks", fast_slow_soak([*ROWS, *REST], ROWS), ids=label)
def test_options_train_and_are_recorded(picks: Picks, job: Job):
    folder, config = train(job(picks))
    summary = folder.summary()
    assert summary["status"] == "finished"
    assert set(summary) >= SUMMARY
    for key in read_target(config.objective._target_).attributes["metrics"]:
        assert math.isfinite(summary["final"][f"val/{key}"])
        assert math.isfinite(summary["best"][f"val/{key}"])
    for name, option in picks:
        picked = summary["choice"].get(name)
        if name not in ("experiment", "debug", "paths", "logger"):
            assert picked == option or picked == [option]
    rows = read_metrics(folder.metrics)
    assert all(set(COST_COLUMNS) <= row.keys() for row in rows)
    assert math.isfinite(next(row for row in rows if "val/loss" in row)["val/loss"])
    assert (folder.model / "tokenizer.json").is_file()
    assert (folder.path / "overrides.json").is_file()
    assert folder.config().choice == config.choice
    assert_learned(folder, config, summary)


def assert_learned(folder: RunFolder, config: DictConfig, summary: dict) -> None:
    """Weights have moved, or tokens have been counted."""
    step_tokens = config.global_batch_size * config.sequence_length
    reads = read_target(config.objective._target_).attributes["reads"]
    if reads != "windows":  # rows are shorter, or cut to that length
        assert 0 < summary["tokens"] <= summary["steps"] * step_tokens
    else:
        assert summary["tokens"] == summary["steps"] * step_tokens
    if config.choice.model == "ngram":
        assert summary["parameters"] > 0
        return
    before = initial_weights(config)
    after = load_file(folder.model / "model.safetensors")
    shared = before.keys() & after.keys()
    assert shared, "the saved names are those of the model without any wrapper"
    moved = any(not torch.equal(before[key], after[key]) for key in shared)
    own = {"adapters", "prefix_tuning"} & set(config.choice.compression)
    assert moved != bool(own), "these train weights of their own"
    assert all(torch.isfinite(after[key]).all() for key in shared)
    assert any("train/loss" in row for row in read_metrics(folder.metrics))
