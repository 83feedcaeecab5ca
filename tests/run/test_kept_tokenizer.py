"""A run goes on with its own tokenizer, whatever has become of its text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import DATA, TINY_MODEL

from loomlab.run.evaluation import evaluate
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.run.kept_tokenizer import keep_tokenizer, kept_tokenizer
from loomlab.tokenizer.base import tokenizer_hash
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.unigram import Unigram
from loomlab.tokenizer.wordpiece import WordPiece

Ended = Callable[..., tuple[int, str]]
ALICE = (DATA / "alice.txt").read_text()
OTHER = (DATA / "moby_dick.txt").read_text()[:20_000]


@pytest.mark.parametrize("option", [Byte(), ByteBPE(300), WordPiece(300), Unigram(300)])
def test_what_is_kept_comes_back(option: object, tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert kept_tokenizer(folder) is None
    trained = option.train(ALICE.split("\n\n"))  # type: ignore[attr-defined]
    trained.save_pretrained(folder.model)  # as a run has it that kept none beside
    assert tokenizer_hash(kept_tokenizer(folder).train()) == tokenizer_hash(trained)
    keep_tokenizer(folder, Byte().train())
    keep_tokenizer(folder, trained)
    assert tokenizer_hash(kept_tokenizer(folder).train()) == tokenizer_hash(trained)
    assert {p.name for p in tmp_path.iterdir()} == {"model", "tokenizer"}


def test_a_text_that_has_changed_since(
    train: Callable[..., RunFolder], ended: Ended, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, tiny: Callable[..., list[str]],
):  # fmt: skip
    """The model is scored, compressed and trained on with the tokens it knows."""
    text, elsewhere = tmp_path / "text.txt", "paths.output_dir="
    text.write_text(ALICE)
    own = [f"corpus.path={text}", "tokenizer=byte_bpe", "tokenizer.vocab_size=400"]
    run = train(*TINY_MODEL, *own, "callbacks=[checkpoint]", "trainer.limit_val_batches=null")
    ours = tokenizer_hash(kept_tokenizer(run).train())
    best = run.summary()["best"]["val/bits_per_byte"]
    text.write_text(ALICE + "\n\n" + OTHER)  # the same is held out; merges would be others
    objective, corpus = FinishedRun(run.path).with_corpus()
    scored = evaluate(objective, corpus, False)["val/bits_per_byte"]
    assert scored == pytest.approx(best, rel=1e-6)
    assert f"{run.path}: the files of its text have changed since it was trained" in caplog.text
    code, said = ended("train", f"resume={run.path}", "budget.steps=4")
    assert code == 2, said
    assert "trained on another stream of samples (tokens, samples differ)" in said
    given = [o for o in tiny(*TINY_MODEL, folder="on") if not o.startswith("tokenizer")]
    code, said = ended("train", *given, f"corpus.path={text}", f"init={run.path}")
    assert code == 0, said
    code, said = ended(
        "compress", run.path, "compression=[quantize_int8]", elsewhere + str(tmp_path / "small")
    )
    assert code == 0, said
    for folder in ("on", "small"):
        assert RunFolder(tmp_path / folder).config().choice.tokenizer == "hf"
        assert tokenizer_hash(kept_tokenizer(RunFolder(tmp_path / folder)).train()) == ours
