"""What Transformers expects of a model: the loss of a whole step, caches, outputs, names."""

import copy
import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from peft import (
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from tests.patience import PATIENCE
from tests.warm import forkserver
from torch import Tensor, nn
from transformers import DynamicCache, Trainer, TrainingArguments
from transformers.loss.loss_utils import ForCausalLMLoss, ForMaskedLMLoss

from loomlab.compression.fewer_blocks import Likeness
from loomlab.errors import InputError
from loomlab.format.standard_layout import standard_layout
from loomlab.format.traced import traced
from loomlab.measure.flops import training_flops_per_token
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.probe.attention_probabilities import attention_probabilities

SIZES: dict[str, Any] = {
    "layers": 1, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 12,
}  # fmt: skip
KINDS = {"causal_lm": GPTConfig, "masked_lm": BERTConfig, "sequence_classification": GPTConfig}


def model(head: str) -> Any:
    torch.manual_seed(0)
    more = {"num_labels": 3} if head == "sequence_classification" else {}
    return KINDS[head](**SIZES, **more).build(head)


def rows(head: str) -> list[dict[str, Tensor]]:
    """Eight rows; of the labels of text, unlike numbers count."""
    torch.manual_seed(1)
    ids = torch.randint(0, 32, (8, 12))
    if head == "sequence_classification":
        return [{"input_ids": row, "labels": row[0] % 3} for row in ids]
    counted = torch.arange(12) < torch.arange(3, 11)[:, None]
    labels = ids.masked_fill(~counted, -100)
    return [{"input_ids": i, "labels": y} for i, y in zip(ids, labels, strict=True)]


def step(head: str, accumulate: int, folder: Path, ranks: int = 1) -> tuple[float, Tensor]:
    """The loss and the gradients of one step of Transformers' Trainer over all rows."""
    rows_at_once = 8 // accumulate // ranks
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=rows_at_once, max_steps=1,
        gradient_accumulation_steps=accumulate, logging_steps=1, report_to=[], use_cpu=True,
        save_strategy="no", learning_rate=1.0, optim="sgd", lr_scheduler_type="constant",
        max_grad_norm=0.0, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trained = model(head)
    before = nn.utils.parameters_to_vector(trained.parameters()).detach().clone()
    trainer = Trainer(trained, arguments, train_dataset=rows(head))  # type: ignore[arg-type]
    trainer.train()
    after = nn.utils.parameters_to_vector(trained.parameters()).detach()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses[0], before - after


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Transformers' Trainer collects garbage at its end: seconds, with all that is loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_objects")
@pytest.mark.parametrize("head", KINDS)
def test_accumulated_steps_are_those_of_one_batch(head: str, tmp_path: Path):
    loss, gradient = step(head, 1, tmp_path)
    parts_loss, parts_gradient = step(head, 4, tmp_path)
    assert parts_loss == pytest.approx(loss, abs=2e-4)
    torch.testing.assert_close(parts_gradient, gradient, rtol=1e-4, atol=1e-6)
    assert gradient.norm() > 1e-3


def one_of_two(rank: int, port: int, folder: str) -> None:
    """A process of two, started as torchrun does."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()}
    torch.set_num_threads(1)
    found = {f"{h}/{a}": step(h, a, Path(folder), 2) for h in KINDS for a in (1, 2)}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("few_objects")
def test_steps_of_two_processes_are_those_of_one(tmp_path: Path):
    """Rows of unlike numbers of labels: the mean over the ranks of their means is another."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    given = [(rank, port, str(tmp_path)) for rank in (0, 1)]
    processes = [forkserver.Process(target=one_of_two, args=told) for told in given]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]
    for rank in (0, 1):
        for name, (loss, gradient) in torch.load(tmp_path / f"{rank}.pt").items():
            wanted_loss, wanted = step(name.split("/")[0], 1, tmp_path)
            torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6, msg=name)
            assert loss == pytest.approx(wanted_loss, abs=2e-4), name


@pytest.mark.parametrize(
    ("head", "reference"), [("causal_lm", ForCausalLMLoss), ("masked_lm", ForMaskedLMLoss)]
)
def test_the_loss_is_that_of_transformers(head: str, reference: Any):
    batch = {key: torch.stack([row[key] for row in rows(head)]) for key in ("input_ids", "labels")}
    tested = model(head).eval()
    for count in (None, torch.tensor(100)):
        told = {} if count is None else {"num_items_in_batch": count}
        output = tested(**batch, **told)
        wanted = reference(output.logits, batch["labels"], 32, **told)
        torch.testing.assert_close(output.loss, wanted)


def test_labels_that_are_shifted_already():
    tested, ids = model("causal_lm").eval(), torch.randint(0, 32, (2, 12))
    shifted = nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
    given = tested(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(tested(input_ids=ids, shift_labels=shifted).loss, given)


def test_the_usual_decoding_loop_goes_on_from_its_cache():
    decoder, ids = model("causal_lm").eval(), torch.arange(6)[None] % 5
    written, past, new = ids, None, ids
    for _ in range(5):
        output = decoder(new, past_key_values=past)
        past, new = output.past_key_values, output.logits[:, -1:].argmax(-1)
        written = torch.cat([written, new], dim=1)
    assert torch.equal(written, decoder.generate(ids, max_new_tokens=5, do_sample=False))
    assert past.get_seq_length() == written.shape[1] - 1


def test_a_cache_is_kept_as_the_config_says_and_not_while_training():
    ids, decoder = torch.arange(6)[None], model("causal_lm").eval()
    given = {None: True, True: True, False: False}
    for asked, kept in given.items():
        assert (decoder(ids, use_cache=asked).past_key_values is not None) is kept
    past = decoder(ids).past_key_values
    assert decoder(ids, past_key_values=past, use_cache=False).past_key_values is None
    assert decoder.train()(ids).past_key_values is None
    assert GPTConfig().use_cache
    without = GPTConfig(**SIZES, use_cache=False)
    assert without.to_diff_dict()["use_cache"] is False
    assert without.build("causal_lm").eval()(ids).past_key_values is None


def test_what_reads_a_text_once_keeps_no_cache(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a cache is filled that nobody reads")

    monkeypatch.setattr(DynamicCache, "update", refuse)
    ids, decoder = torch.arange(6)[None], model("causal_lm").eval()
    decoder.hidden_states(input_ids=ids)
    model("sequence_classification").eval()(input_ids=ids)
    training_flops_per_token(decoder, {"input_ids": ids})
    assert attention_probabilities(decoder, ids)
    assert Likeness(decoder, "transformer.layers", [{"input_ids": ids}]).cosine[0, 1] != 0
    traced(decoder, {"input_ids": ids.expand(2, -1)})
    with pytest.raises(AssertionError, match="nobody reads"):
        decoder(ids)


ATTENTIONS: list[dict[str, Any] | None] = [
    None, {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 5},
]  # fmt: skip


def test_states_and_weights_are_those_of_gpt2_and_may_come_as_a_tuple():
    ours = model("causal_lm").eval()
    theirs, ids = standard_layout(ours), torch.arange(8).view(2, 4)
    assert theirs is not None
    theirs.set_attn_implementation("eager")
    for asked in ({"output_hidden_states": True}, {"output_attentions": True}):
        found, wanted = ours(ids, **asked), theirs(ids, **asked)
        assert set(found) == set(wanted) - {"cross_attentions"}
        torch.testing.assert_close(found.hidden_states, wanted.hidden_states)
        torch.testing.assert_close(found.attentions, wanted.attentions)
        listed = ours(ids, labels=ids, use_cache=False, return_dict=False, **asked)
        assert [type(part) for part in listed] == [Tensor, Tensor, tuple]
    ours.config.return_dict, ours.config.output_hidden_states = False, True
    loss, logits, states = ours(ids, labels=ids, use_cache=False)
    assert (loss.dim(), logits.shape[-1], len(states)) == (0, 32, 2)
    assert torch.equal(ours.hidden_states(input_ids=ids), states[-1])


@pytest.mark.parametrize("head", ["masked_lm", "sequence_classification"])
def test_other_heads_record_as_well(head: str):
    tested, ids = model(head).eval(), torch.arange(8).view(2, 4)
    answer = tested(ids, output_hidden_states=True, output_attentions=True)
    given, last = answer.hidden_states
    assert torch.equal(given, tested.transformer.embedding_norm(
        tested.transformer.position.embed(tested.transformer.embedding(ids), torch.arange(4)[None])
    ))  # fmt: skip
    torch.testing.assert_close(last, tested.transformer(ids).last_hidden_state)
    assert answer.attentions[0].shape == (2, 2, 4, 4)
    assert isinstance(tested(ids, return_dict=False), tuple)


STANDARD = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize("kind", [GPTConfig, BERTConfig])
def test_standard_names_work_both_ways(kind: Any, tmp_path: Path):
    config = kind(**STANDARD, max_position_embeddings=12, tie_word_embeddings=False)
    assert (config.width, config.layers, config.heads) == (16, 1, 2)
    assert (config.context_length, config.tied) == (12, False)
    told = config.to_dict()
    assert told["hidden_size"] == told["width"] == 16
    config.num_hidden_layers = 3
    config.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    assert (again.layers, again.width, again.tied) == (3, 16, False)
    assert again.to_dict() | {"_name_or_path": ""} == config.to_dict() | {"_name_or_path": ""}
    said = r"hidden_size=30 is not a multiple of num_attention_heads=4: give hidden_size=32\."
    with pytest.raises(InputError, match=said):
        kind(hidden_size=30, num_attention_heads=4)
    with pytest.raises(InputError, match=r"hidden_size=16 and width=32 are two names"):
        kind(hidden_size=16, width=32)


PROMPTS = {
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "p_tuning": PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_of_peft_learn_and_are_continued(name: str):
    torch.manual_seed(0)
    decoder: Any = GPTConfig(**SIZES | {"context_length": 40}).build("causal_lm").eval()
    tuned: Any = get_peft_model(decoder, copy.deepcopy(PROMPTS[name]))
    ids = torch.arange(2, 14).view(2, 6)
    optimizer = torch.optim.Adam([p for p in tuned.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for _ in range(8):
        loss = tuned.train()(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01
    tuned.eval()
    mask = torch.ones_like(ids)
    written = tuned.generate(input_ids=ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
    stepwise = ids
    for _ in range(4):
        logits = tuned(input_ids=stepwise, attention_mask=torch.ones_like(stepwise)).logits
        stepwise = torch.cat([stepwise, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(written, stepwise)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("position", ["learned.Learned", "alibi.ALiBi"])
def test_a_static_cache_writes_what_any_other_does(
    position: str, attention: dict[str, Any] | None
):
    torch.manual_seed(0)
    placed = {"_target_": f"loomlab.position.{position}"}
    sizes = SIZES | {"context_length": 40, "layers": 2, "initializer_range": 0.3}
    config = GPTConfig(**sizes, attention=attention, position=placed, pad_token_id=0)
    decoder: Any = config.build("causal_lm").eval()
    ids, mask = torch.arange(2, 16).view(2, 7), torch.ones(2, 7, dtype=torch.long)
    mask[0, :3] = 0
    settings = {"attention_mask": mask, "max_new_tokens": 12, "do_sample": False}
    static = decoder.generate(ids, cache_implementation="static", **settings)
    assert torch.equal(static, decoder.generate(ids, **settings))
