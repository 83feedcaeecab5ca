"""Corpus `mixture`: its parts, one tokenizer, numbers apart, resume, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from loomlab.compose.gate import check
from loomlab.corpus.mixture import Mixture
from loomlab.corpus.text import Text
from loomlab.errors import InputError
from loomlab.run.evaluation import evaluate
from loomlab.run.finished_run import FinishedRun
from loomlab.run.prepared import prepare_folder
from loomlab.run.session import execute
from loomlab.tokenizer.byte import Byte

DATA = Path(__file__).parents[1] / "data"
ALICE, MOBY = DATA / "alice.txt", DATA / "moby_dick.txt"
TEXT = "loomlab.corpus.text.Text"
PARTS = [
    "corpus=mixture", "corpus.parts=[text,sea]", "+corpus@corpus.of.sea=text",
    f"corpus.of.text.path={ALICE}", f"corpus.of.sea.path={MOBY}",
    "corpus.of.sea.passage_bytes=1000", "corpus.of.text.passage_bytes=1000",
]  # fmt: skip
TINY = ["model.layers=1", "model.width=16", "model.heads=2", "corpus.weights=[3,1]"]


@pytest.fixture
def mixture(cache_dir: Path) -> Callable[..., Mixture]:
    """Alice and Moby Dick, opened."""

    def build(**changes: Any) -> Mixture:
        of = {
            name: {"_target_": TEXT, "path": str(path), "passage_bytes": 1000}
            for name, path in (("alice", ALICE), ("moby", MOBY))
        }
        settings = {
            "parts": list(of), "of": of, "tokenizer": Byte(), "sequence_length": 64,
            "batch_size": 8, "seed": 1, "cache_dir": cache_dir,
        }  # fmt: skip
        corpus = Mixture(**{**settings, **changes})
        corpus.prepare_data()
        corpus.setup()
        return corpus

    return build


def test_it_is_its_parts(mixture: Callable[..., Mixture]):
    corpus = mixture()
    alice, moby = corpus.corpora.values()
    for split in ("train", "validation"):
        assert list(corpus.documents(split)) == [
            *alice.documents(split), *moby.documents(split)
        ]  # fmt: skip
    for whole, own in (
        (corpus.train_manifest, [alice.train_manifest, moby.train_manifest]),
        (corpus.validation_manifest, [alice.validation_manifest, moby.validation_manifest]),
    ):
        assert whole.tokens == sum(part.tokens for part in own)
        assert whole.bytes == sum(part.bytes for part in own)
    assert corpus.samples == sum(
        m.tokens // 64 for m in (alice.train_manifest, moby.train_manifest)
    )


def taken(corpus: Mixture, batches: int) -> list[torch.Tensor]:
    stream = iter(corpus.train_dataloader())
    return [next(stream).tokens_BU for _ in range(batches)]


def test_shares_of_what_is_read(mixture: Callable[..., Mixture]):
    corpus = mixture(weights=[1, 4])
    rows = corpus._train
    assert rows.sizes[1] == pytest.approx(0.8 * corpus.samples, abs=1)
    assert mixture(mixing="equal")._train.sizes[0] == pytest.approx(corpus.samples / 2, abs=1)
    few = mixture(weights=[1, 4], max_samples=100)
    assert few._train.sizes == [20, 80]
    assert [len(part) for part in few._train.parts] == [20, 80], "no others are ever drawn"


def test_held_out_batches_are_of_one_part_each(mixture: Callable[..., Mixture]):
    corpus = mixture(world_size=2, rank=1)
    rows = corpus._validation
    names = [corpus.part_of_batch(n) for n in range(len(corpus.held_out()))]
    assert set(names) == {"alice", "moby"}
    for name, batch in zip(names, corpus.held_out(), strict=True):
        assert {index < rows.sizes[0] for index, _ in batch} == {name == "alice"}
    assert set(names[: len(names) // 3]) == {"alice", "moby"}, "the first batches are of both"
    corpus.validation_batches = 3
    assert len(corpus.held_out()) == 3
    assert [corpus.part_of_batch(n) for n in range(3)] == [
        names[n * len(names) // 3] for n in range(3)
    ]


def test_a_part_that_changes_while_it_is_read_is_named(
    mixture: Callable[..., Mixture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text, whole = tmp_path / "sea.txt", Text.documents

    def documents(corpus: Text, split: str) -> Iterator[str]:
        yield from whole(corpus, split)
        if corpus.path == str(text):
            text.write_text(f"{text.read_text()} {split}")

    text.write_text(MOBY.read_text())
    monkeypatch.setattr(Text, "documents", documents)
    of = {n: {"_target_": TEXT, "path": str(p)} for n, p in (("alice", ALICE), ("sea", text))}
    with pytest.raises(InputError, match=r"corpus\.parts: sea: .*files changed while they were "):
        mixture(parts=list(of), of=of, cache_dir=tmp_path)


def test_it_goes_on_where_it_was(mixture: Callable[..., Mixture]):
    whole = taken(mixture(weights=[1, 4]), 60)
    corpus = mixture(weights=[1, 4])
    corpus.consumed = 37 * 8
    assert all(map(torch.equal, taken(corpus, 23), whole[37:]))
    state = corpus.state_dict()
    other = mixture(weights=[1, 3])
    other.load_state_dict(state)
    with pytest.raises(InputError, match=r"another stream of samples \(shares of the parts"):
        other.train_dataloader()


def test_tokens_for_counting_have_the_shares(mixture: Callable[..., Mixture]):
    corpus = mixture(weights=[3, 1])
    tokens = corpus.tokens_to_count(4000)
    alice, moby = (part.train_tokens.tokens for part in corpus.corpora.values())
    assert tokens.tolist() == [*alice[:3000].tolist(), *moby[:1000].tolist()]
    assert len(corpus.tokens_to_count(None)) == corpus.samples * 64


@pytest.fixture
def job(tiny: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """A small run of both, with other overrides."""
    return lambda *given: [*(o for o in tiny() if not o.startswith("corpus")), *PARTS, *given]


def test_a_run_and_its_numbers_apart(job: Callable[..., list[str]]):
    overrides = job(*TINY, "budget.steps=3", "trainer.limit_val_batches=null")
    folder, config = prepare_folder(check(overrides).only(), overrides)
    execute(config, folder)
    final = folder.summary()["final"]
    objective, corpus = FinishedRun(folder.path).with_corpus()
    assert isinstance(corpus, Mixture)
    assert evaluate(objective, corpus, False) == pytest.approx(final, rel=1e-6)
    for name, part in corpus.corpora.items():  # each alone says the same of itself
        part.setup()
        part.collate = corpus.collate
        alone = evaluate(objective, part, False)
        assert final[f"val/{name}/loss"] == pytest.approx(alone["val/loss"], rel=1e-6)
        bits = final[f"val/{name}/bits_per_byte"]
        assert bits == pytest.approx(alone["val/bits_per_byte"], rel=1e-6)
    low, high = sorted(final[f"val/{name}/loss"] for name in corpus.corpora)
    assert low < final["val/loss"] < high


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["corpus.parts=[]"], "corpus.parts: is empty: give corpora"),
        (["corpus.parts=[text,sae]"], "'sae' is no corpus to be a part"),
        (["corpus.parts=[text,gutenbreg]"], "did you mean gutenberg?"),
        (["corpus.parts=[text,mixture]"], "'mixture' is no corpus to be a part"),
        (["corpus.parts=[text,sea,text]"], "corpus.parts: text is there twice"),
        (["corpus.weights=[1]"], "corpus.weights: 1 for 2 parts"),
        (["corpus.weights=[1,0]"], "corpus.weights: each must be above 0"),
        (["corpus.weights=[1,1]", "corpus.mixing=equal"], "corpus.mixing: equal and weights are"),
        (["corpus.temperature=3"], "corpus.temperature: mixing=proportional has none"),
        (["corpus.parts=[text]"], "corpus.of.sea: is no part of this mixture"),
        (["corpus.of.text.workers=1"], "corpus.of.text.workers: is one for the whole mixture"),
        (["corpus.of.text.pth=x"], "corpus.of.text.pth: Text has no setting 'pth'; did you mean"),
        (["corpus.of.text.passage_bytes=1"], "corpus.of.text.passage_bytes: 1 is outside"),
        (["corpus.of.text.path=missing.txt"], "corpus.of.text.path: "),
        (["objective=classification"], "its documents have no labels"),
    ],
)  # fmt: skip
def test_what_is_refused(job: Callable[..., list[str]], given: list[str], says: str):
    checked = check(job(*given))
    assert checked.problems, given
    assert says in checked.message()


def test_what_only_the_data_can_refuse_names_the_part(
    mixture: Callable[..., Mixture], tmp_path: Path
):
    (tmp_path / "short.txt").write_text("A few words.\n\n" * 30)
    of = {"short": {"_target_": TEXT, "path": str(tmp_path / "short.txt"), "passage_bytes": 300}}
    with pytest.raises(InputError, match=r"short: .*corpus\.of\.short\.validation_every"):
        mixture(parts=["short"], of=of)
