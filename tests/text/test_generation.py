"""Text from a model: greedy continuation, filled masks, and the training mode left as it was."""

import pytest
import torch

from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.text.generation import (
    continue_text,
    fill_masks,
    mask_last_word,
    prompt_ids,
    window,
    words_carry_space,
)
from loomlab.text.rows import framing_tokenizer
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.unigram import Unigram
from loomlab.tokenizer.wordpiece import WordPiece

TOKENIZER = Byte().train()
EOS = torch.tensor([TOKENIZER.eos_token_id])
TEXTS = ["the cat sat on the mat and the dog ran to the cat"] * 20


def decoder() -> torch.nn.Module:
    torch.manual_seed(0)
    config = GPTConfig(layers=1, width=16, heads=2, vocab_size=260, context_length=64,
                       initializer_range=0.3, dropout=0.5)  # fmt: skip
    return config.build("causal_lm")


def encoder(vocab_size: int) -> torch.nn.Module:
    torch.manual_seed(0)
    config = BERTConfig(layers=1, width=16, heads=2, vocab_size=vocab_size, context_length=64,
                        initializer_range=0.3)  # fmt: skip
    return config.build("masked_lm")


def greedy(prompt: str = "Hello", **options: object) -> str:
    return continue_text(decoder(), TOKENIZER, prompt, do_sample=False, **options)


def test_greedy_text_is_always_the_same():
    model, texts = decoder(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        texts.append(continue_text(model, TOKENIZER, "Hello", max_new_tokens=12, do_sample=False))
    assert texts[0] == texts[1]
    assert texts[0].startswith("Hello")


def test_greedy_takes_the_likeliest_token_at_every_step():
    model = decoder().eval()
    ids = TOKENIZER("Hello", return_tensors="pt").input_ids
    for _ in range(6):
        ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], dim=1)
    expected = TOKENIZER.decode(ids[0], skip_special_tokens=True)
    assert continue_text(model, TOKENIZER, "Hello", max_new_tokens=6, do_sample=False) == expected


def test_sampling_follows_the_seed():
    model, texts = decoder(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        texts.append(continue_text(model, TOKENIZER, "Hello", max_new_tokens=20))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    certain = continue_text(model, TOKENIZER, "Hello", max_new_tokens=9, top_p=1e-6)
    assert certain == greedy(max_new_tokens=9), "of the likeliest token alone"


@pytest.mark.parametrize("training", [True, False])
def test_mode_is_put_back_and_nothing_is_kept_for_gradients(training: bool):
    model, masked, gradients = decoder().train(training), encoder(260).train(training), []
    for each in (model, masked):
        each.register_forward_hook(lambda *_: gradients.append(torch.is_grad_enabled()))
    continue_text(model, TOKENIZER, "a", max_new_tokens=2)
    assert model.training is training
    fill_masks(masked, TOKENIZER, "a [MASK]")
    assert masked.training is training
    assert gradients == [False] * 3


def test_a_tokenizer_that_frames_rows_does_not_frame_prompts():
    tokenizer = WordPiece(vocab_size=150).train(TEXTS)
    framing = framing_tokenizer(tokenizer, 16)
    assert len(framing("the cat").input_ids) == len(tokenizer("the cat").input_ids) + 2
    assert prompt_ids(framing, "the cat").tolist() == prompt_ids(tokenizer, "the cat").tolist()
    model = encoder(len(tokenizer))
    filled = [fill_masks(model, each, "the [MASK] sat") for each in (framing, tokenizer)]
    assert filled[0] == filled[1]
    assert not words_carry_space(tokenizer)


def test_empty_prompt_starts_a_document():
    assert isinstance(greedy("", max_new_tokens=5), str)


def test_one_token_is_one_token():
    assert len(greedy(max_new_tokens=1).encode()) == len("Hello") + 1


def test_options_reach_generate():
    assert greedy(max_new_tokens=4, num_beams=3).startswith("Hello")


@pytest.mark.parametrize(
    ("length", "wanted", "limit", "expected"),
    [
        (5, 20, None, (5, 20)),
        (5, 20, 64, (5, 20)),
        (44, 20, 64, (44, 20)),
        (50, 20, 64, (44, 20)),
        (500, 20, 64, (44, 20)),
        (500, 200, 64, (32, 32)),
        (5, 200, 64, (5, 59)),
    ],
)
def test_the_window_slides(length: int, wanted: int, limit: int | None, expected: tuple):
    assert window(length, wanted, limit) == expected


def test_all_that_was_asked_for_is_written_after_the_whole_prompt():
    """The model reads 64 tokens; each next one is the likeliest after what it can see."""
    model, prompt = decoder().eval(), "A long beginning. " * 6
    text = continue_text(model, TOKENIZER, prompt, max_new_tokens=50, do_sample=False)
    assert text.startswith(prompt)
    ids = TOKENIZER(prompt, return_tensors="pt").input_ids
    begun = ids.shape[1]
    for seen, new in ((32, 32), (46, 18)):
        part = ids[:, -seen:]
        for _ in range(new):
            part = torch.cat([part, model(input_ids=part).logits[:, -1:].argmax(-1)], dim=1)
        ids = torch.cat([ids, part[:, seen:]], dim=1)
    assert ids.shape[1] == begun + 50
    assert text == TOKENIZER.decode(ids[0], skip_special_tokens=True)


@pytest.mark.parametrize("kind", [ByteBPE, Unigram])
def test_a_mask_stands_for_a_word_with_the_space_before_it(kind: type):
    tokenizer = kind(400).train(TEXTS)
    model = encoder(len(tokenizer))
    seen: list[list[str]] = []
    model.register_forward_pre_hook(
        lambda m, a, k: seen.append(tokenizer.convert_ids_to_tokens(k["input_ids"][0])),
        with_kwargs=True,
    )
    filled = fill_masks(model, tokenizer, "the [MASK] sat")
    assert all(word == word.strip() for word, _ in filled.candidates[0])
    before, both = tokenizer.tokenize("the"), tokenizer.tokenize("the sat")
    assert seen == [[*before, tokenizer.mask_token, *both[len(before) :]]]


def test_masks_are_filled_with_the_likeliest_words():
    tokenizer = WordPiece(vocab_size=150).train(TEXTS)
    model = encoder(len(tokenizer))
    filled = fill_masks(model, tokenizer, "the [MASK] sat on the [MASK]", top=3)
    assert "[MASK]" not in filled.text
    assert len(filled.candidates) == 2
    marked = tokenizer("the [MASK] sat on the [MASK]", return_tensors="pt",
                       add_special_tokens=False).input_ids  # fmt: skip
    places = (marked[0] == tokenizer.mask_token_id).nonzero().flatten()
    probability = model.eval()(input_ids=marked).logits[0].softmax(-1)
    for place, candidates in zip(places, filled.candidates, strict=True):
        assert len(candidates) == 3
        shares = [share for _, share in candidates]
        assert shares == sorted(shares, reverse=True)
        assert shares[0] == pytest.approx(probability[place].max().item(), rel=1e-4)
        best = tokenizer.decode([probability[place].argmax()]).strip()
        assert candidates[0][0] == best
    marked[0, places] = probability[places].argmax(-1)
    assert filled.text == tokenizer.decode(marked[0]), "with the likeliest"


def test_mask_of_another_name_is_understood():
    filled = fill_masks(encoder(260), TOKENIZER, "ab[MASK]d")
    assert len(filled.candidates) == 1
    assert "mask" not in filled.text


def test_text_without_a_mask_is_refused():
    with pytest.raises(InputError, match=r"\[MASK\]"):
        fill_masks(encoder(260), TOKENIZER, "nothing is missing")
    with pytest.raises(InputError, match=r"the text has 65 tokens, the model reads 64: shorten"):
        fill_masks(encoder(260), TOKENIZER, "[MASK]" + "a" * 64)
    model, longest = encoder(260), "[MASK]" + "a" * 63
    model.longest_sequence = lambda: None  # as where positions go on without end
    assert fill_masks(model, TOKENIZER, longest) == fill_masks(encoder(260), TOKENIZER, longest)


@pytest.mark.parametrize(
    ("text", "masked"),
    [("He sat down", "He sat [MASK]"), ("word", "[MASK]"), ("", "[MASK]"), ("a b ", "a [MASK]")],
)
def test_last_word_is_masked(text: str, masked: str):
    assert mask_last_word(text) == masked


def test_a_document_that_has_ended_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch):
    model, calls = decoder(), []
    head, generate = model.get_output_embeddings(), model.generate
    head.register_forward_hook(lambda _, __, scores: scores.index_fill(-1, EOS, 1e4))
    monkeypatch.setattr(model, "generate", lambda *a, **k: calls.append(1) or generate(*a, **k))
    for wanted in (1, 200):
        assert continue_text(model, TOKENIZER, "Hello", max_new_tokens=wanted) == "Hello"
    assert len(calls) == 2


def test_a_model_that_has_diverged_writes_nothing():
    model = decoder().train()
    with torch.no_grad():
        next(p for p in model.parameters() if p.ndim == 2).fill_(float("nan"))
    for how in ({}, {"do_sample": False}):
        with pytest.raises(InputError, match="the model has diverged"):
            continue_text(model, TOKENIZER, "a", max_new_tokens=2, **how)
    assert model.training, "its mode is put back"
