"""`loom compare`: runs, a sweep and several sweeps, on the screen and exported."""

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.warm import WarmProcess

from loomlab.run.ledger import Ledger
from loomlab.run.metrics_reading import read_so_far

Verb = Callable[..., tuple[int, str, str]]
BITS = "val/bits_per_byte"


@pytest.fixture
def runs(trained: Callable[[str], Path], tmp_path: Path) -> Path:
    """Real finished runs: a GPT with two seeds, a wider learning rate, an n-gram."""
    folder = tmp_path / "runs"
    shutil.copytree(trained("ngram"), folder / "ngram")
    for name, seed, lr, bits in (("a", 1, 0.01, 3.0), ("b", 2, 0.01, 4.0), ("c", 1, 0.1, 2.5)):
        shutil.copytree(trained("gpt"), folder / name)
        edit(folder / name / "config.yaml", {"lr: 0.01": f"lr: {lr}"})
        edit(folder / name / "config.yaml", {"seed: 1": f"seed: {seed}"})
        summary = json.loads((folder / name / "summary.json").read_text())
        summary["best"][BITS] = bits
        (folder / name / "summary.json").write_text(json.dumps(summary))
    return folder


def edit(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text()
    for old, new in changes.items():
        assert f"{old}\n" in text
        text = text.replace(f"{old}\n", f"{new}\n")
    path.write_text(text)


def table(text: str) -> list[dict[str, str]]:
    """The rows of a Rich table."""
    head, *body = [line for line in text.splitlines() if line[:1] in "\u2503\u2502" and line]
    names = [cell.strip() for cell in head.strip("\u2503").split("\u2503")]
    lines = [[c.strip() for c in line.strip("\u2502").split("\u2502")] for line in body]
    return [dict(zip(names, line, strict=True)) for line in lines]


def test_runs_are_ranked_over_seeds(verb: Verb, runs: Path):
    code, out, err = verb("compare", runs, "--baseline", "optimizer.lr=0.01")
    assert (code, err) == (0, "")
    found = table(out)
    assert list(found[0])[:4] == ["rank", "model", "optimizer.lr", "runs"]
    by_runs = {row["runs"]: row for row in found}
    assert (by_runs["a b"]["bits/byte"], by_runs["a b"]["std"]) == ("3.5", "0.71")
    assert by_runs["c"]["to baseline"] == "-0.5"
    assert by_runs["a b"]["to baseline"] == "baseline"
    assert (by_runs["ngram"]["model"], by_runs["ngram"]["optimizer.lr"]) == ("ngram", "-")
    assert int(by_runs["c"]["rank"]) < int(by_runs["a b"]["rank"])
    assert "to baseline: mean difference to model=gpt optimizer.lr=0.01\n" in out


def test_kinds_of_runs_have_tables_of_their_own(
    verb: Verb, runs: Path, trained: Callable[[str], Path]
):
    _, out, _ = verb("compare", runs, trained("bert"), trained("labels"))
    titles = [line.strip() for line in out.splitlines() if line.startswith("Ranked")]
    assert titles == [
        "Ranked by val/bits_per_byte (less is better)",
        "Ranked by val/bits_per_byte (less is better), masked models, by pseudo-likelihood",
        "Ranked by val/accuracy (more is better), models of labels",
    ]


def test_the_front_is_listed(verb: Verb, runs: Path):
    code, out, _ = verb("compare", runs, "--pareto", "parameters,seconds")
    assert code == 0
    ranking, _, front = out.partition("Pareto front of val/bits_per_byte against parameters, sec")
    marked = {row["runs"] for row in table(ranking) if row["front"] == "*"}
    assert marked
    assert len(table(front)) == len(marked)


def test_exports_go_to_the_screen_or_a_file(verb: Verb, runs: Path, tmp_path: Path):
    code, out, _ = verb("compare", runs, "--export", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {row["run"]: row["seed"] for row in rows} == {"a": "1", "b": "2", "c": "1",
                                                         "ngram": "1"}  # fmt: skip
    assert verb("compare", runs, "--output", tmp_path / "r.csv") == (0, "", "")
    assert (tmp_path / "r.csv").read_text() == out
    verb("compare", runs, "--output", tmp_path / "r.json", "--metric", "tokens")
    (found,) = json.loads((tmp_path / "r.json").read_text())
    assert found["metric"] == "tokens"
    verb("compare", runs, "--export", "latex", "--output", tmp_path / "x.txt")
    assert r"\begin{tabular}" in (tmp_path / "x.txt").read_text()


def test_the_difference_of_two_runs(verb: Verb, runs: Path):
    code, out, _ = verb("compare", runs, "--diff", "a", "c")
    assert code == 0
    assert table(out) == [{"setting": "optimizer.lr", "a": "0.01", "c": "0.1"}]
    _, out, _ = verb("compare", "--diff", runs / "a", runs / "b", "--export", "json")
    assert json.loads(out) == [{"setting": "seed", "a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give the folder of a run, of a sweep or of several"),
        (["{empty}"], "there is no run in"),
        (["{empty}/nowhere"], "is no folder: give a run, a sweep"),
        (["{runs}", "--metric", "val/acuracy"], "did you mean val/accuracy?"),
        (["{runs}", "--baseline", "model=gtp"], "did you mean model=gpt?"),
        (["{runs}", "--pareto", "parameter"], "did you mean parameters?"),
        (["{runs}", "--pareto", ""], None),
        (["{runs}", "--output", "{empty}/x.txt"], "give it one of the endings .csv, .md"),
        (["{runs}", "--output", "{empty}/no/x.csv"], "cannot be written: No such file"),
        (["{runs}", "--diff", "a", "zzz"], "there is no run 'zzz'"),
        (["{runs}", "--export", "xls"], "invalid choice"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(
    verb: Verb, runs: Path, tmp_path: Path, given: list[str], said: str | None
):
    (tmp_path / "empty").mkdir()
    places = {"runs": runs, "empty": tmp_path / "empty"}
    code, _, err = verb("compare", *(g.format(**places) for g in given))
    if said is None:
        assert code == 0
        return
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_it_answers_without_torch(runs: Path):
    code = (
        "import sys\nfrom loomlab.entry.cli import main\n"
        f"try:\n    main(['compare', {str(runs)!r}, '--pareto', 'bytes'])\n"
        "except SystemExit:\n    print({'torch', 'pytorch_lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


@pytest.mark.slow
def test_a_sweep_while_it_runs_and_when_it_is_over(
    verb: Verb, warm: Callable[..., WarmProcess], tiny: Callable[..., list[str]], tmp_path: Path
):
    sweep = tmp_path / "swept"
    given = [o for o in tiny("model.layers=1", "model.width=16", "model.heads=2")
             if not o.startswith("paths.output_dir")]  # fmt: skip
    command = [
        "train", "-m", *given, f"paths.sweep_dir={sweep}", "sweep=list",
        "optimizer.lr=0.001,0.001,1e30", "seed=1,2,1", "budget.steps=40",
        "trainer.val_every_n_steps=4",
    ]  # fmt: skip
    process = warm(command, tmp_path, together=True)
    seen: set[str] = set()
    while process.poll() is None:
        if sweep.is_dir() and Ledger(sweep).jobs():
            code, out, err = verb("compare", sweep, "--export", "csv")
            assert code == 0, err
            rows = list(csv.DictReader(io.StringIO(out)))
            assert len(rows) == 3
            seen |= {row["state"] for row in rows}
        time.sleep(0.2)
    assert {"pending", "running", "done"} <= seen, process.communicate()[0]
    code, out, _ = verb("compare", sweep)
    assert code == 0
    good, bad = table(out)
    assert (good["optimizer.lr"], good["runs"]) == ("0.001", "000 001")
    assert bad["bits/byte"] in ("nan", "-") or float(bad["bits/byte"]) > float(good["bits/byte"])
    jobs = {job.number: job for job in Ledger(sweep).jobs()}
    numbers = [read_so_far(sweep / jobs[n].folder / "metrics.csv") for n in (0, 1)]
    mean = sum(min(r[BITS] for r in rows if BITS in r) for rows in numbers) / 2
    assert float(good["bits/byte"]) == pytest.approx(mean, rel=0.01)
