"""`loom predict`: labels of texts, from arguments, a file or the standard input."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]
TEXTS = ["The film is a joy.", "The play is a bore."]


def test_texts_are_labelled(trained: Trained, verb: Verb):
    code, output, errors = verb("predict", trained("labels"), *TEXTS)
    assert code == 0, errors
    for line, text in zip(output.splitlines(), TEXTS, strict=True):
        found, shown = line.split("\t")
        label, probability = found.split()
        assert shown == text
        assert label in ("good", "bad")
        assert 0.5 <= float(probability) <= 1


def test_every_label_is_shown_when_asked_for(trained: Trained, verb: Verb):
    _, output, _ = verb("predict", trained("labels"), TEXTS[0], "--all")
    words = output.split("\t")[0].split()
    assert set(words[::2]) == {"good", "bad"}
    assert sum(map(float, words[1::2])) == pytest.approx(1, abs=2e-3)


def test_words_are_labelled(trained: Trained, verb: Verb):
    texts = ["In Oslo , Ada slept .", "Bob left .", "a word " * 20]
    code, output, errors = verb("predict", trained("tags"), *texts)
    assert code == 0, errors
    assert [part.split("\n") for part in output.strip().split("\n\n")] == [
        [line for line in output.splitlines() if line][a:b] for a, b in ((0, 6), (6, 9), (9, 49))
    ]
    lines = [line.split("\t") for line in output.splitlines() if line]
    assert [word for _, word in lines] == " ".join(texts).split()
    label, probability = lines[0][0].split()
    assert label in ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
    assert 0.2 <= float(probability) <= 1
    assert lines[-1][0] == "none", "it lies behind what the model reads"
    _, output, _ = verb("predict", trained("tags"), texts[1], "--all")
    words = output.split("\t")[0].split()
    assert sum(map(float, words[1::2])) == pytest.approx(1, abs=3e-3)


def test_numbers_are_said(trained: Trained, verb: Verb):
    code, output, errors = verb("predict", trained("numbers"), *TEXTS)
    assert code == 0, errors
    for line, text in zip(output.splitlines(), TEXTS, strict=True):
        number, shown = line.split("\t")
        assert shown == text
        assert 0.5 < float(number) < 5.5, "stars, whatever the head was trained on"


def test_a_file_and_the_standard_input_are_read_by_line(
    trained: Trained, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS) + "\n")
    direct = verb("predict", trained("labels"), *TEXTS)
    assert verb("predict", trained("labels"), "--file", path) == direct
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS)))
    assert verb("predict", trained("labels")) == direct


@pytest.mark.parametrize("kind", ["labels", "tags"])
def test_how_far_it_is_stands_on_the_terminal_alone(
    kind: str, trained: Trained, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS) + "\n")
    _, expected, errors = verb("predict", trained(kind), "--file", path)
    assert " texts" not in errors
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    assert verb("predict", trained(kind), "--file", path)[:2] == (0, expected)
    assert "\r0 of 2 texts\x1b[K" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS)))
    assert verb("predict", trained(kind))[:2] == (0, expected)
    assert "\r0 texts\x1b[K" in terminal.getvalue()


def test_nothing_is_written_into_what_is_being_typed(
    trained: Trained, verb: Verb, monkeypatch: pytest.MonkeyPatch
):
    terminals = [io.StringIO("\n".join(TEXTS)), io.StringIO()]
    for name, terminal in zip(("stdin", "stderr"), terminals, strict=True):
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(f"sys.{name}", terminal)
    code, output, _ = verb("predict", trained("labels"))
    assert (code, len(output.splitlines())) == (0, 2)
    assert terminals[1].getvalue() == ""


def test_what_is_not_utf_8_is_refused_by_every_verb_that_reads_text(
    trained: Trained, verb: Verb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    bad = "caf\udce9"  # as a shell's Latin-1 arrives
    for arguments in (
        ("predict", trained("labels"), bad),
        ("generate", trained("labels"), "--prompt", bad),
        ("fill", trained("labels"), f"{bad} [MASK]"),
    ):
        code, _, errors = verb(*arguments)
        assert code == 2
        assert "is not UTF-8: convert it" in errors
        assert "Traceback" not in errors
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), "utf-8"))
    code, _, errors = verb("predict", trained("labels"))
    assert code == 2
    assert "the standard input is not UTF-8: convert it" in errors
    (tmp_path / "lines.txt").write_bytes(b"good\ncaf\xe9\n")
    code, _, errors = verb("predict", trained("labels"), "--file", tmp_path / "lines.txt")
    assert code == 2
    assert "lines.txt, line 2, byte 8: 0xe9 is not utf-8: fix the file, or convert it" in errors


def test_other_verbs_name_this_one_and_it_names_them(trained: Trained, verb: Verb):
    for arguments in (("generate", trained("labels")), ("fill", trained("labels"), "a [MASK]")):
        code, _, errors = verb(*arguments)
        assert code == 2
        assert "objective=classification; use `loom predict`" in errors
    code, _, errors = verb("predict", trained("gpt"), "text")
    assert code == 2
    assert "objective=clm; use `loom generate`" in errors


def test_what_can_be_no_text_is_refused(trained: Trained, verb: Verb, tmp_path: Path):
    code, out, errors = verb("predict", trained("labels"), TEXTS[0], " ")
    assert (code, out) == (2, "")
    assert "a text is empty" in errors
    path = tmp_path / "texts.txt"
    path.write_text("good\n")
    code, _, errors = verb("predict", trained("labels"), path)
    assert code == 2
    assert f"{path} is a file: label each of its lines by --file {path}" in errors
    code, out, _ = verb("predict", trained("labels"), "two\nlines, " + "long " * 100)
    assert code == 0, "too long for the name of a file"
    assert out.count("\n") == 1


def test_a_missing_file_is_named(trained: Trained, verb: Verb):
    code, _, errors = verb("predict", trained("labels"), "--file", "nowhere.txt")
    assert code == 2
    assert "--file nowhere.txt: there is no such file" in errors


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_evaluate_repeats_the_numbers_of_training(trained: Trained, verb: Verb, kind: str):
    from loomlab.run.folder import RunFolder

    code, output, errors = verb("evaluate", trained(kind))
    assert code == 0, errors
    found = dict(line.split() for line in output.splitlines())
    best = RunFolder(trained(kind)).summary()["best"]
    assert {k: float(v) for k, v in found.items()} == pytest.approx(best, abs=1e-6)
