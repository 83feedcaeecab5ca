"""Loaders: exact resume for any workers and world size, validation in full, refusals."""

import itertools

import pytest
import pytorch_lightning as pl
import torch

from loomlab.errors import InputError
from loomlab.tokenizer.byte_bpe import ByteBPE


def keys(batch):
    return list(zip(batch.epoch_B.tolist(), batch.index_B.tolist(), strict=True))


def joined(parts):
    return list(itertools.chain.from_iterable(parts))


def stream(corpus, batches):
    return joined(keys(b) for b in itertools.islice(corpus.train_dataloader(), batches))


def test_attributes_after_setup(opened):
    corpus = opened()
    assert corpus.vocab_size == 260
    assert len(corpus.train_tokens) > 20 * 64
    held_out = corpus.validation_tokens.manifest
    assert corpus.bytes_per_token == held_out.bytes / held_out.tokens
    assert 0.9 < corpus.bytes_per_token < 1
    tokens = torch.from_numpy(corpus.validation_tokens.tokens.astype("int64"))
    assert corpus.token_bytes()[tokens].sum() == held_out.bytes
    assert corpus.token_bytes() is corpus.token_bytes(), "validations ask for it again and again"


def test_every_token_of_an_epoch_comes_once(opened):
    corpus = opened()
    windows = (len(corpus.train_tokens) - 1) // 64
    seen = stream(corpus, -(-2 * windows // 8))
    for epoch in (0, 1):
        ours = [index for e, index in seen if e == epoch]
        assert sorted(ours) == list(range(windows))
    batch = next(iter(corpus.train_dataloader()))
    tokens = torch.from_numpy(corpus.train_tokens.tokens.astype("int64"))
    for row, index in zip(batch.tokens_BU, batch.index_B.tolist(), strict=True):
        assert torch.equal(row, tokens[index * 64 : index * 64 + 65])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world_size", [1, 2])
def test_resume_at_any_count_continues_the_same_stream(opened, workers, world_size):
    whole = stream(opened(), 40)
    for consumed in (0, 8, 104):
        shares = []
        for rank in range(world_size):
            corpus = opened(
                workers=workers, batch_size=8 // world_size, rank=rank, world_size=world_size
            )
            corpus.load_state_dict({**opened().state_dict(), "consumed": consumed})
            batches = itertools.islice(corpus.train_dataloader(), 10)
            shares.append([keys(batch) for batch in batches])
        together = joined(joined(parts) for parts in zip(*shares, strict=True))
        assert together == whole[consumed : consumed + 80]


def test_order_depends_on_the_seed(opened):
    assert stream(opened(seed=1), 5) == stream(opened(seed=1), 5)
    assert stream(opened(seed=1), 5) != stream(opened(seed=2), 5)


def test_count_batch_moves_the_start(opened):
    corpus = opened()
    whole = stream(corpus, 6)
    corpus.count_batch()
    corpus.count_batch()
    assert corpus.state_dict()["consumed"] == 16
    assert stream(corpus, 4) == whole[16:]


@pytest.mark.parametrize("change", [{"seed": 2}, {"sequence_length": 32}, {"max_samples": 20}])
def test_resume_on_another_stream_is_refused(opened, change):
    corpus = opened(**change)
    corpus.load_state_dict(opened().state_dict())
    with pytest.raises(InputError, match="another stream"):
        corpus.train_dataloader()
    assert len(corpus.val_dataloader()) > 0


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_validation_has_every_window_once(opened, workers, world_size):
    seen = []
    for rank in range(world_size):
        corpus = opened(rank=rank, world_size=world_size, workers=workers)
        seen += [i for batch in corpus.val_dataloader() for i in batch.index_B.tolist()]
    assert sorted(seen) == list(range((len(corpus.validation_tokens) - 1) // 64))


def test_max_samples_limits_training_alone(opened):
    corpus, free = opened(max_samples=8), opened()
    assert {index for _, index in stream(corpus, 3)} == set(range(8))
    assert len(corpus.val_dataloader()) == len(free.val_dataloader())


def test_document_mask_gives_the_document_of_each_token(opened):
    batch = next(iter(opened(document_mask=True).train_dataloader()))
    ends = (batch.tokens_BU == 256)[:, :-1]
    assert torch.equal(batch.document_BU[:, 1:] - batch.document_BU[:, :-1], ends.long())
    assert ends.any()
    assert next(iter(opened().train_dataloader())).document_BU is None


@pytest.mark.parametrize("workers", [0, 2])
def test_collate_is_applied(opened, workers):
    corpus = opened(workers=workers)
    corpus.collate = total
    assert next(iter(corpus.train_dataloader()))["rows"] == 8


def total(samples):
    return {"rows": len(samples), "index": samples.index_B, "x": samples.tokens_BU}


def test_tokenizer_is_trained_once_on_training_text(opened, caplog, tmp_path):
    first = opened(tokenizer=ByteBPE(400), cache_dir=tmp_path)
    assert first.vocab_size == 400
    caplog.clear()
    with caplog.at_level("INFO", "loomlab.text"):
        again = opened(tokenizer=ByteBPE(400), cache_dir=tmp_path)
    assert caplog.text == ""
    assert again.hf_tokenizer.get_vocab() == first.hf_tokenizer.get_vocab()


REFUSALS = {
    "long_sequence": (
        {"sequence_length": 200_000},
        r"training part .* tokens, fewer than .*200000",
    ),
    "short_validation": ({"sequence_length": 12_000}, r"validation part .* tokens, fewer than"),
    "large_batch": ({"batch_size": 5000}, r"\d+ training sequences are fewer than the 5000"),
    "few_samples": ({"max_samples": 7}, r"7 training sequences are fewer than the 8"),
    "many_ranks": (
        {"world_size": 200, "batch_size": 1},
        r"\d+ validation sequences are fewer than the 200",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_too_little_text_is_refused_with_both_numbers(opened, case):
    change, message = REFUSALS[case]
    with pytest.raises(InputError, match=message):
        opened(**change)


class Recorder(pl.LightningModule):
    """Trains one weight and writes down which samples it saw."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch):
        self.seen += batch["index"].tolist()
        return self.weight * 0

    def validation_step(self, batch):
        assert len(batch["x"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trainer_resumes_mid_epoch_exactly(opened, workers, tmp_path):
    def fit(steps, resume=None, workers=workers, **flags):
        corpus, model = opened(workers=workers), Recorder()
        corpus.collate = total
        quiet = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"),
            False,
        )
        trainer = pl.Trainer(
            max_steps=steps,
            accelerator="cpu",
            use_distributed_sampler=False,
            limit_val_batches=2,
            default_root_dir=tmp_path,
            **quiet,
            **flags,
        )
        trainer.fit(model, datamodule=corpus, ckpt_path=resume, weights_only=False)
        return trainer, corpus, model.seen

    every_3 = {"val_check_interval": 3, "check_val_every_n_epoch": None}
    _, corpus, whole = fit(12, workers=0, **every_3)
    assert corpus.consumed == 12 * 8 == len(whole)
    trainer, _, first = fit(5, **every_3)
    trainer.save_checkpoint(tmp_path / "at5.ckpt")
    _, resumed, rest = fit(12, tmp_path / "at5.ckpt", **every_3)
    assert first + rest == whole
    assert resumed.consumed == 12 * 8
    if not workers:
        _, _, limited = fit(12, limit_train_batches=4)
        assert limited == whole
