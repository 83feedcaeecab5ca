"""Running `loom` as a user does: a process of its own in an empty folder."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import warm

Loom = Callable[..., subprocess.CompletedProcess[str]]
ALICE = Path(__file__).parents[1] / "data" / "alice.txt"
COMMON = [
    "corpus=text", f"corpus.path={ALICE}", "tokenizer=byte", "sequence_length=32",
    "global_batch_size=4", "budget.steps=4", "trainer.val_every_n_steps=2", "logger=none",
    "precision=fp32",
    "callbacks=[checkpoint]", "optimizer.lr=0.01",
]  # fmt: skip
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
KINDS = {
    "default": SMALL,
    "gpt": ["position=rope", *SMALL],
    "bert": ["model=bert", "objective=mlm", *SMALL],
    "ngram": ["model=ngram"],
    "labels": [
        "objective=classification",
        "corpus=labelled",
        f"corpus.path={ALICE.with_name('reviews.csv')}",
        *SMALL,
    ],
    "numbers": [
        "model=bert",
        "objective=regression",
        "corpus=labelled",
        f"corpus.path={ALICE.with_name('meals.csv')}",
        "corpus.label_key=stars",
        *SMALL,
    ],
    "tags": [
        "objective=token_classification",
        "corpus=tagged",
        f"corpus.path={ALICE.with_name('words.conll')}",
        *SMALL,
    ],
}


@pytest.fixture
def loom(tmp_path: Path) -> Loom:
    """Run `loom` with arguments in the test's folder; environment variables by keyword."""
    (tmp_path / "work").mkdir()

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return warm.run(arguments, tmp_path / "work", **environment)

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder `loom` runs in."""
    return tmp_path / "work"


@pytest.fixture(scope="session")
def trained(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run folder of a tiny finished gpt, bert or ngram, each trained once, in this process."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.folder import RunFolder
    from loomlab.run.prepared import record_choice
    from loomlab.run.session import execute

    base = tmp_path_factory.mktemp("trained")

    def folder(kind: str) -> Path:
        path = base / kind
        if not path.exists():
            paths = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={path}"]
            with composing():
                config = record_choice(compose_job([*COMMON, *KINDS[kind], *paths]))
            run = RunFolder(path)
            run.create(config, [])
            execute(config, run)
        return path

    return folder


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a verb in this process as the console script does: exit code, output, errors."""
    from loomlab.entry.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run
