"""Where the tokenizer of weights is looked for."""

from pathlib import Path

import pytest

from loomlab.text.beside import tokenizer_beside


@pytest.mark.parametrize(
    ("files", "source", "found"),
    [
        (["run/config.yaml", "run/tokenizer/tokenizer.json", "run/model/tokenizer.json"],
         "run", "run/tokenizer"),
        (["run/config.yaml", "run/model/tokenizer.json"], "run", "run/model"),
        (["run/config.yaml", "run/model/config.json"], "run", None),
        (["run/checkpoints/best.ckpt", "run/tokenizer/tokenizer.json", "run/model/vocab.txt"],
         "run/checkpoints/best.ckpt", "run/tokenizer"),
        (["run/checkpoints/best.ckpt", "run/model/tokenizer.json"],
         "run/checkpoints/best.ckpt", "run/model"),
        (["bert/config.json", "bert/vocab.txt"], "bert", "bert"),
        (["bert/config.json"], "bert", None),
        (["kept/model/tokenizer.json", "kept/tokenizer.json"], "kept", "kept/model"),
        (["bert/model.safetensors", "bert/tokenizer.json"], "bert/model.safetensors", "bert"),
        (["bert/model.safetensors"], "bert/model.safetensors", None),
    ],
)  # fmt: skip
def test_the_tokenizer_of_weights(
    files: list[str], source: str, found: str | None, tmp_path: Path
):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert tokenizer_beside(tmp_path / source) == (found and tmp_path / found)


@pytest.mark.parametrize(
    "name",
    [
        *("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model"),
        "sentencepiece.bpe.model",
    ],
)
def test_every_kind_of_tokenizer_is_known(name: str, tmp_path: Path):
    (tmp_path / name).touch()
    assert tokenizer_beside(tmp_path) == tmp_path
