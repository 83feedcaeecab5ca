"""Distillation: the loss is what it says, for every objective, and nothing else is disturbed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

Train = Callable[..., RunFolder]
Tiny = Callable[..., list[str]]
REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
TEACHER = [*SMALL, "budget.steps=4", "optimizer.lr=0.02", "callbacks=[]"]
KINDS = {
    "clm": [],
    "mlm": ["model=bert", "objective=mlm"],
    "classification": [
        "model=bert", "objective=classification", "corpus=labelled", f"corpus.path={REVIEWS}",
    ],
}  # fmt: skip
EVERY_KIND = pytest.mark.parametrize(
    "kind", ["clm", *(pytest.param(k, marks=pytest.mark.slow) for k in KINDS if k != "clm")]
)


def by(teacher: RunFolder | str, *settings: str) -> list[str]:
    """A student of half the layers."""
    where = teacher if isinstance(teacher, str) else teacher.path
    given = [f"compression.distill.{s}" for s in (f"teacher={where}", *settings)]
    return [*SMALL, "model.layers=1", "compression=[distill]", *given]


def assembled(overrides: list[str], tmp_path: Path) -> Any:
    """The parts of a run, not yet trained."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.assembly import assemble
    from loomlab.run.prepared import record_choice

    with composing():
        return assemble(record_choice(compose_job(overrides)), RunFolder(tmp_path / "parts"))


def a_copy(run: RunFolder, folder: Path) -> RunFolder:
    """One whose files may be changed."""
    return RunFolder(shutil.copytree(run.path, folder / "teacher"))


def first_batch(parts: Any) -> dict[str, torch.Tensor]:
    batch: dict[str, torch.Tensor] = next(iter(parts.corpus.train_dataloader()))
    return batch


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.model / "model.safetensors")


def assert_same_weights(one: RunFolder, other: RunFolder, **tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], **tolerance)


@EVERY_KIND
def test_the_loss_is_that_of_the_data_and_of_the_teacher(
    train_once: Train, tiny: Tiny, tmp_path: Path, kind: str
):
    teacher = train_once(*TEACHER, *KINDS[kind])
    given = [*KINDS[kind], *by(teacher, "alpha=0.3", "temperature=3")]
    parts = assembled(tiny(*given, "objective.head_chunk=7"), tmp_path)
    objective, batch = parts.objective, first_batch(parts)
    loss = objective.training_step(batch, 0)
    loss.backward()
    gradient = next(objective.model.parameters()).grad.clone()
    objective.zero_grad()

    asked = objective.around(FinishedRun(teacher.path).model)
    with torch.no_grad():
        (logits, targets), (taught, _) = objective.predict(batch), asked.predict(batch)
    p = (taught / 3).softmax(-1)
    apart = F.kl_div((logits / 3).log_softmax(-1), p, reduction="batchmean") * 9
    expected = 0.7 * F.cross_entropy(logits, targets) + 0.3 * apart
    torch.testing.assert_close(loss.detach(), expected)
    assert apart > 1e-4, "the teacher says something else"

    objective.head_chunk = 0
    objective.training_step(batch, 0).backward()
    whole = next(objective.model.parameters()).grad
    torch.testing.assert_close(gradient, whole, atol=1e-6, rtol=1e-4)
    assert all(p.grad is None for p in parts.compression[0].teacher.model.parameters())


@pytest.mark.slow
def test_without_a_weight_the_teacher_changes_nothing(train: Train, train_once: Train):
    """Not the random numbers either: dropout draws what it would have drawn."""
    teacher = train_once(*TEACHER)
    dropout = ["model.dropout=0.3", "optimizer.lr=0.02"]
    alone = train(*SMALL, "model.layers=1", *dropout, folder="alone")
    deaf = train(*by(teacher, "alpha=0"), *dropout, folder="deaf")
    taught = train(*by(teacher, "alpha=1"), *dropout, folder="taught")
    assert_same_weights(alone, deaf)
    with pytest.raises(AssertionError):
        assert_same_weights(alone, taught)
    assert deaf.summary()["compression"]["Distill"]["teacher_samples"] == 8
    assert deaf.summary()["flops"] == alone.summary()["flops"]


def test_a_student_approaches_its_teacher(train_once: Train, tiny: Tiny, tmp_path: Path):
    teacher = train_once(*TEACHER)
    parts = assembled(tiny(*by(teacher, "alpha=1")), tmp_path)
    batch, model = first_batch(parts), parts.objective.model
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    distances = []
    for _ in range(40):
        loss = parts.objective.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        distances.append(loss.item())
    assert distances[-1] < 0.1 * distances[0]


def test_the_model_the_run_starts_with_teaches_what_compression_leaves(
    train: Train, tiny: Tiny, tmp_path: Path
):
    sure = [*SMALL, "model.initializer_range=0.2"]
    before = train(*TEACHER, *sure)
    given = tiny(
        *sure, f"init={before.path}", "compression=[distill,prune_magnitude]",
        "compression.distill.teacher=self", "compression.distill.alpha=1",
    )  # fmt: skip
    parts = assembled(given, tmp_path)
    batch = first_batch(parts)
    assert parts.objective.training_step(batch, 0) > 0.01, "what is pruned answers otherwise"
    taught = parts.compression[0].teacher.model.state_dict()
    for key, value in weights(before).items():
        assert torch.equal(taught[key], value)
    unpruned = assembled([o.replace(",prune_magnitude", "") for o in given], tmp_path)
    assert unpruned.objective.training_step(batch, 0).item() == pytest.approx(0, abs=1e-6)


def test_a_student_starts_as_every_nth_layer_of_its_teacher(
    train_once: Train, tiny: Tiny, tmp_path: Path
):
    teacher = train_once(*TEACHER)
    parts = assembled(tiny(*by(teacher, "start=teacher")), tmp_path)
    own, theirs = parts.objective.model.state_dict(), weights(teacher)
    taken = {k.replace("layers.0.", "layers.1."): v for k, v in own.items()}
    assert all(torch.equal(taken[k], theirs[k]) for k in taken if k in theirs)
    assert any("layers.1." in k for k in taken.keys() & theirs.keys())


def test_what_cannot_teach_is_refused_before_any_work(
    train_once: Train, refused: Callable[..., str], tmp_path: Path
):
    teacher = a_copy(train_once(*TEACHER), tmp_path)
    model = SMALL[:3]
    named = f"compression.distill.teacher={teacher.path}"
    said = refused("compression=[distill]", model=model)
    assert "compression.distill.teacher: has no value" in said
    said = refused("compression=[distill]", "compression.distill.teacher=/no/such", model=model)
    assert "there is no folder /no/such" in said
    said = refused("compression=[distill]", named, *KINDS["mlm"], model=model)
    assert "was trained with the head causal_lm, and this objective trains masked_lm" in said
    start = [named, "compression.distill.start=teacher", f"init={teacher.path}"]
    said = refused("compression=[distill]", *start, model=model)
    assert "the weights come from the teacher or from init=" in said
    wordpiece = ["tokenizer=byte_bpe", "tokenizer.vocab_size=300"]
    said = refused("compression=[distill]", named, *wordpiece, model=model)
    assert "reads tokens of another tokenizer (_target_=loomlab.tokenizer.byte.Byte" in said
    (teacher.model / "config.json").unlink()
    assert "no finished model" in refused("compression=[distill]", named, model=model)


@pytest.mark.slow
def test_a_tokenizer_that_files_do_not_tell_is_refused_before_training(
    train_once: Train, refused: Callable[..., str], local_copies: Path, tmp_path: Path
):
    teacher = a_copy(train_once(*TEACHER), tmp_path)
    foreign = ["tokenizer=hf", f"tokenizer.name={local_copies / 'tokenizer'}"]
    named = f"compression.distill.teacher={teacher.path}"
    said = refused("compression=[distill]", named, *foreign, model=SMALL[:3])
    assert f"{teacher.path} reads tokens of another tokenizer (260, this run has 300)" in said
    (teacher.model / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in refused("compression=[distill]", named, model=SMALL[:3])


@pytest.mark.slow
def test_other_labels_are_refused(train_once: Train, refused: Callable[..., str], tmp_path: Path):
    teacher = train_once(*TEACHER, *KINDS["classification"])
    other = tmp_path / "other.csv"
    other.write_text(REVIEWS.read_text().replace(",bad\n", ",poor\n"))
    said = refused(
        "compression=[distill]", f"compression.distill.teacher={teacher.path}",
        *KINDS["classification"][:3], f"corpus.path={other}", model=SMALL[:3],
    )  # fmt: skip
    assert "the labels of" in said


@pytest.mark.parametrize("kind", ["clm", "mlm"])
def test_a_folder_of_transformers_teaches(
    train: Train, tiny: Tiny, local_copies: Path, tmp_path: Path, kind: str
):
    """Its head is padded: it has more classes than the tokenizer has tokens."""
    name = {"clm": "llama", "mlm": "bert"}[kind]
    folder = shutil.copytree(local_copies / name, tmp_path / name)
    for path in (local_copies / "tokenizer").iterdir():
        shutil.copy(path, folder)
    foreign = ["tokenizer=hf", f"tokenizer.name={folder}"]
    parts = assembled(tiny(*KINDS[kind], *foreign, *by(str(folder), "alpha=1")), tmp_path)
    batch = first_batch(parts)
    with torch.no_grad():
        asked = parts.objective.around(parts.compression[0].teacher.model)
        taught, logits = asked.predict(batch)[0], parts.objective.predict(batch)[0]
    assert (taught.shape[-1], logits.shape[-1]) == (600, 300)
    p = (taught[:, :300] / 2).softmax(-1)
    apart = 4 * F.kl_div((logits / 2).log_softmax(-1), p, reduction="batchmean")
    torch.testing.assert_close(parts.objective.training_step(batch, 0).detach(), apart)


@pytest.mark.slow
def test_a_resumed_run_equals_the_unbroken_one(train: Train, train_once: Train):
    teacher = train_once(*TEACHER)
    given = [
        *by(teacher, "start=teacher"), "model.dropout=0.3", "scheduler=constant",
        "callbacks=[checkpoint]", "callbacks.checkpoint.keep_best=false",
        "trainer.val_every_n_steps=2",
    ]  # fmt: skip
    whole = train(*given, "budget.steps=4", folder="whole")
    part = train(*given, "budget.steps=2", folder="part")
    again = train(*given, "budget.steps=4", f"resume={part.path}", folder="part")
    assert again.summary()["steps"] == 4
    assert_same_weights(whole, again, rtol=0, atol=0)


@pytest.mark.parametrize("spread", fast_slow_soak(["ddp", "tp", "fsdp2"]))
def test_two_processes_equal_one(train: Train, train_once: Train, spread: str):
    """Each process has the whole teacher, and asks it about the rows it reads itself."""
    teacher = train_once(*TEACHER)
    alone = train(*by(teacher), "budget.steps=3", folder="alone")
    several = [f"parallelism={spread}", "parallelism.devices=2"]
    pair = train(*by(teacher), "budget.steps=3", *several, folder="pair")
    assert_same_weights(alone, pair, rtol=1e-3, atol=1e-5)
