"""The compatibility table is true: each pair it allows trains, each pair it refuses is refused.

Jobs come from a greedy covering array: every allowed pair of options of two outcome or speed axes
is in one of them. Parallelism beyond one process is composed for every pair and trained for few.
Some of the jobs are run each time, all of them by `make soak`.
"""

import math
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.marks import one_in

from loomlab.catalog.axes import AXES, axis
from loomlab.catalog.compatibility import Pick, all_refusals, pair_refusal
from loomlab.catalog.matrix import refused_pairs
from loomlab.catalog.options import Catalog, default_options
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.gate import check
from loomlab.text.cache import default_cache_dir

CATALOG = Catalog(all_conf_dirs())
DEFAULTS = default_options()
COVERED = [a.name for a in AXES if a.kind in ("outcome", "speed") and CATALOG.options.get(a.name)]
CORE = ("model", "attention", "position", "objective")
SIZES = [m for m in CATALOG.options["model"] if "layers" in CATALOG.preset("model", m)]
NONE = "none of them"  # the empty choice of a multi-select axis
Row = dict[str, str]
Job = Callable[..., list[str]]


@cache
def pick(name: str, option: str) -> Pick | None:
    source = CATALOG.source(name, option)
    if source is None or option == NONE:
        return None
    return Pick(name, option, source, CATALOG.preset(name, option))


def options(name: str) -> list[str]:
    declared = axis(name)
    several = declared is not None and declared.multiple
    return [NONE, *CATALOG.options[name]] if several else CATALOG.options[name]


@cache
def fits(one: tuple[str, str], other: tuple[str, str]) -> bool:
    left, right = pick(*one), pick(*other)
    return left is None or right is None or not pair_refusal(left, right, DEFAULTS)


def allowed_pairs(choices: dict[str, list[str]]) -> set[tuple]:
    return {
        ((a, x), (b, y))
        for a, b in combinations(choices, 2)
        for x in choices[a]
        for y in choices[b]
        if fits((a, x), (b, y))
    }


def pairs_of(row: Row, choices: dict[str, list[str]]) -> set[tuple]:
    return {((a, row[a]), (b, row[b])) for a, b in combinations(choices, 2)}


def complete(row: Row, choices: dict[str, list[str]], missing: set[tuple]) -> Row | None:
    """Fill the other axes, those that fit and cover most first; None where nothing fits."""
    name = next((n for n in choices if n not in row), None)
    if name is None:
        return row

    def gain(option: str) -> int:
        return sum(((o, row[o]), (name, option)) in missing
                   or ((name, option), (o, row[o])) in missing for o in row)  # fmt: skip

    for option in sorted(choices[name], key=gain, reverse=True):
        if all(fits((o, row[o]), (name, option)) for o in row):
            done = complete({**row, name: option}, choices, missing)
            if done is not None:
                return done
    return None


def covering(choices: dict[str, list[str]], wanted: set[tuple] | None = None) -> list[Row]:
    """Rows that hold every allowed pair, or those wanted of them; the same ones every time."""
    missing, rows = allowed_pairs(choices) if wanted is None else set(wanted), []
    while missing:
        (a, x), (b, y) = min(missing)
        row = complete({a: x, b: y}, choices, missing)
        assert row is not None, f"{a}={x} and {b}={y} are allowed, but no whole job has both"
        rows.append({name: row[name] for name in choices})
        missing -= pairs_of(row, choices)
    return rows


ALICE = Path(__file__).parent / "data" / "alice.txt"
ALL = {name: options(name) for name in COVERED}
ALL["compile"] = sorted(ALL["compile"], key="off".__ne__)  # where both would do, the quicker
LOCAL = {**ALL, "parallelism": ["single"]}
CORE_ONLY = {
    name: found if name in CORE else [NONE if NONE in found else DEFAULTS[name]]
    for name, found in LOCAL.items()
} | {"corpus": ["text", "labelled", "tagged"], "tokenizer": ["byte"]}
CORE_ONLY["model"] = [  # sizes of one class are the same code, and the same size here
    m for m in ALL["model"] if fits(("model", m), ("tokenizer", "byte")) and m not in SIZES
]
ROWS, CORE_ROWS = covering(LOCAL), covering(CORE_ONLY)
SPREAD_PAIRS = {
    pair
    for pair in allowed_pairs(ALL)
    if any(name == "parallelism" and option != "single" for name, option in pair)
}
SPREAD_ROWS = covering(ALL, SPREAD_PAIRS)
SOME_SPREAD_ROWS = [
    row
    for option in ALL["parallelism"]
    for row in [r for r in SPREAD_ROWS if r["parallelism"] == option and r["compile"] == "off"][:2]
]
COMPILED_ROWS = [row for row in ROWS if row["compile"] != "off"]


def label(row: Row) -> str:
    return "-".join(o for o in row.values() if o != NONE)


@pytest.fixture
def job(tiny: Callable[..., list[str]], offline_settings: Callable[..., list[str]]) -> Job:
    """Overrides of a tiny one-step run of a row of the array."""

    def overrides(row: Row) -> list[str]:
        shared = [o for o in tiny() if not o.startswith(("corpus", "tokenizer"))]
        return [*shared, "budget.steps=1", *(selected(n, o) for n, o in row.items()),
                *small(row), *(s for axis in ("corpus", "tokenizer", "model")
                               for s in offline_settings(axis, row[axis]))]  # fmt: skip

    return overrides


def selected(name: str, option: str) -> str:
    declared = axis(name)
    if declared is not None and declared.multiple:
        return f"{name}=[{'' if option == NONE else option}]"
    return f"{name}={option}"


def small(row: Row) -> list[str]:
    """The few settings that make an option tiny, or that it cannot do without."""
    settings = {
        "text": [f"corpus.path={ALICE}"],
        "labelled": [f"corpus.path={Path(__file__).parent / 'data' / 'reviews.csv'}"],
        "tagged": [f"corpus.path={Path(__file__).parent / 'data' / 'words.conll'}"],
        "mixture": ["corpus.parts=[text]", f"corpus.of.text.path={ALICE}"],
        "rotten_tomatoes": [f"paths.cache_dir={default_cache_dir()}"],
        "gutenberg": ["corpus.book_cap=20000", f"paths.cache_dir={default_cache_dir()}"],
        "python_stdlib": ["corpus.max_bytes=200000", "corpus.validation_every=4"],
        "byte_bpe": ["tokenizer.vocab_size=300"],
        "wordpiece": ["tokenizer.vocab_size=300"],
        "unigram": ["tokenizer.vocab_size=512"],
        "factbook": [f"paths.cache_dir={default_cache_dir()}"],
        "distill": ["compression.distill.teacher=self"],
        "lottery_ticket": ["compression.lottery_ticket.rounds=1"],  # one step is no more
    }
    given = ("corpus", "tokenizer", "model", "compression")
    found = [o for name in given for o in settings.get(row[name], [])]
    if row["objective"] == "regression":
        meals = Path(__file__).parent / "data" / "meals.csv"
        found += [f"corpus.path={meals}", "corpus.label_key=stars"]
    if row["model"] == "hf":
        found += hugging_face(row["objective"])
    elif row["model"] not in ("ngram", "minilm", "smollm2"):
        layers = 2 if row["parallelism"] == "pipeline" else 1  # one for each stage
        found += [f"model.layers={layers}", "model.width=16", "model.heads=2"]
    return found


def hugging_face(objective: str) -> list[str]:
    kind = "bert" if objective == "mlm" else "llama"
    sizes = "num_hidden_layers:1,hidden_size:16,num_attention_heads:2,intermediate_size:32"
    return [f"model.architecture_type={kind}", "++model.config={" + sizes + "}"]


def train(overrides: list[str]) -> None:
    from loomlab.run.prepared import prepare_folder
    from loomlab.run.session import execute

    checked = check(overrides)
    assert not checked.problems, checked.message()
    folder, config = prepare_folder(checked.configs[0], overrides)
    execute(config, folder)
    summary = folder.summary()
    assert summary["status"] == "finished"
    assert summary["steps"] == 1
    assert math.isfinite(summary["final"][summary["metric"]])


def test_rows_cover_every_allowed_pair_and_no_other():
    for choices, rows in ((LOCAL, ROWS), (CORE_ONLY, CORE_ROWS)):
        covered = set().union(*(pairs_of(row, choices) for row in rows))
        assert covered == allowed_pairs(choices)
    spread = set().union(*(pairs_of(row, ALL) for row in SPREAD_ROWS))
    assert SPREAD_PAIRS < spread <= allowed_pairs(ALL)
    assert len(ROWS) < math.prod(len(found) for found in LOCAL.values()) / 100
    assert covering(LOCAL) == ROWS, "the array is always the same"


def test_table_lists_what_the_array_leaves_out():
    everything = {
        ((a, x), (b, y)) for a, b in combinations(ALL, 2) for x in ALL[a] for y in ALL[b]
    }
    listed = {
        tuple(sorted(((one.axis, one.option), (other.axis, other.option))))
        for one, other, _ in refused_pairs(CATALOG)
        if one.axis in ALL and other.axis in ALL and one.axis != other.axis
    }
    left_out = {tuple(sorted(pair)) for pair in everything - allowed_pairs(ALL)}
    assert left_out == listed


@pytest.mark.parametrize("row", CORE_ROWS, ids=label)
def test_model_attention_position_and_objective_train(row: Row, job: Job):
    train(job(row))


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Compiled models are traced and differentiated as ever, and their graphs run as they are.

    That is where a pair of options can fail; the C++ of a graph takes up to a minute to build.
    """
    generate = torch.nn.Module.compile

    def trace(self: torch.nn.Module, **settings: Any) -> None:
        generate(self, backend="aot_eager", **settings)

    return lambda: monkeypatch.setattr(torch.nn.Module, "compile", trace)


@pytest.mark.parametrize("row", one_in(16, ROWS, pytest.mark.slow), ids=label)
def test_every_allowed_pair_trains(row: Row, job: Job, traced: Callable[[], None]):
    traced()
    train(job(row))


@pytest.mark.parametrize("row", one_in(50, COMPILED_ROWS, pytest.mark.slow), ids=label)
def test_some_are_compiled_to_the_end(row: Row, job: Job):
    train(job(row))


@pytest.mark.parametrize("row", one_in(24, SPREAD_ROWS), ids=label)
def test_every_option_composes_with_several_processes(row: Row, job: Job):
    checked = check(job(row))
    assert not checked.problems, checked.message()


@pytest.mark.parametrize("row", one_in(6, SOME_SPREAD_ROWS, pytest.mark.slow), ids=label)
def test_some_jobs_of_several_processes_train(row: Row, job: Job):
    train(job(row))


REFUSED = [pair for pair in refused_pairs(CATALOG) if pair[0].axis != pair[1].axis]


def test_every_refused_pair_is_refused_with_its_reason():
    assert len(REFUSED) > 100
    for one, other, why in REFUSED:
        (problem,) = all_refusals([one, other], DEFAULTS, CATALOG.fitting)
        assert str(problem).startswith(f"{one} {other}: {why}")
        assert "with " in str(problem), "what would fit is said"
        assert " use " in str(problem)


@pytest.mark.parametrize("pair", one_in(40, REFUSED), ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_the_gate_says_so(pair: tuple[Pick, Pick, str]):
    one, other, why = pair
    checked = check([selected(one.axis, one.option), selected(other.axis, other.option)])
    assert f"{one} {other}: {why}" in checked.message()


def test_settings_an_option_cannot_honour_are_refused():
    declaring = [p for name in COVERED for p in CATALOG.picks(name) if p.declares("refuses", {})]
    assert declaring
    for one in declaring:
        for path, values in one.declares("refuses", {}).items():
            name, _, setting = path.partition(".")
            owner = next(p for p in CATALOG.picks(name) if setting in p.source.settings())
            given = [
                selected(one.axis, one.option), selected(name, owner.option),
                f"{path}={values[0]}".replace("T", "t"),
            ]  # fmt: skip
            message = check(given).message()
            assert path in message
            assert one.declares("because", {})[path] in message
