"""`loom compress`: a finished run in, a smaller one out, and refusals before any work."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from tests.conftest import TINY
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from loomlab.compose.composer import compose_job, composing
from loomlab.entry.compress_source import beginning_of, refusals
from loomlab.quoting import override
from loomlab.report.collect import collect
from loomlab.report.page_data import page_data
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import NEEDED, RunFolder
from loomlab.run.ledger import DONE, Ledger
from loomlab.run.prepared import record_choice
from loomlab.run.session import execute

SMALL = ["model.layers=1", "model.width=32", "model.heads=2"]
Ended = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def parent(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run, of which nothing is changed."""
    folder = RunFolder(tmp_path_factory.mktemp("parent") / "parent")
    paths = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={folder.path}"]
    overrides = [*TINY, *SMALL, *paths]
    with composing():
        config = record_choice(compose_job(overrides))
    folder.create(config, overrides)
    execute(config, folder)
    return folder


def test_a_stack_is_applied_to_a_finished_run(parent: RunFolder, ended: Ended, tmp_path: Path):
    given = ["compression=[quantize_int8,prune_magnitude]", f"paths.output_dir={tmp_path / 'out'}"]
    code, said = ended("compress", parent.path, *given)
    assert code == 0, said
    folder = RunFolder(tmp_path / "out")
    summary, before = folder.summary(), parent.summary()
    assert summary["status"] == "finished"
    assert summary["parent"] == str(parent.path)
    assert summary["steps"] == 0
    assert set(summary["choice"]["compression"]) == {"quantize_int8", "prune_magnitude"}
    figures = summary["compressed"]
    assert figures["before"]["val/loss"] == pytest.approx(before["best"]["val/loss"], rel=1e-6)
    assert figures["after"]["val/loss"] == summary["best"]["val/loss"]
    assert figures["after"]["val/loss"] != figures["before"]["val/loss"]
    written = (folder.model / "model.safetensors").stat().st_size
    assert figures["after"]["bytes_on_disk"] == written
    assert written < 0.6 * (parent.model / "model.safetensors").stat().st_size
    assert summary["compression"]["PruneMagnitude"]["sparsity"] == 0.5
    assert summary["compression"]["QuantizeInt8"]["sparsity"] >= 0.5
    qkv = FinishedRun(folder.path).model.transformer.layers[0].attention.qkv
    dense = load_file(parent.model / "model.safetensors")
    was = dense["transformer.layers.0.attention.qkv.weight"]
    kept = qkv.weight != 0
    assert (qkv.weight - was)[kept].abs().max() <= was.abs().max() / 127
    code, said = ended("compress", parent.path, *given)
    assert code == 2
    assert "holds a run already" in said


def test_a_transformers_folder_is_compressed_as_well(
    parent: RunFolder, ended: Ended, tmp_path: Path, tiny: Callable[..., list[str]]
):
    model = parent.model
    settings = [o for o in tiny(folder="out") if not o.startswith("tokenizer")]
    code, said = ended("compress", model, *settings, "compression=[gptq]")
    assert code == 0, said
    summary = RunFolder(tmp_path / "out").summary()
    assert summary["parent"] == str(model)
    assert summary["compression"]["GPTQ"]["layers"] == 4
    config = json.loads((tmp_path / "out" / "model" / "config.json").read_text())
    assert len(config["loomlab_layers"]) == 4
    assert torch.isfinite(torch.tensor(summary["best"]["val/loss"]))


def test_a_gpt2_of_transformers_is_compressed_as_our_own(
    parent: RunFolder, ended: Ended, tmp_path: Path, tiny: Callable[..., list[str]]
):
    """Its layers are no nn.Linear, and nothing of it is skipped in silence."""
    folder = tmp_path / "gpt2"
    words = AutoTokenizer.from_pretrained(parent.model)
    words.save_pretrained(folder)
    sizes = {"n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 64, "vocab_size": len(words)}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(folder)
    settings = [o for o in tiny(folder="out") if not o.startswith("tokenizer")]
    given = [*settings, "compression=[prune_wanda,quantize_int8]"]
    code, said = ended("compress", folder, *given)
    assert code == 2
    assert "Conv1D" in said
    assert "`loom compress FOLDER model=gpt`" in said
    code, said = ended("compress", folder, "model=gpt", *SMALL, *given)
    assert code == 0, said
    summary = RunFolder(tmp_path / "out").summary()
    assert summary["parent"] == str(folder)
    assert summary["compression"]["PruneWanda"]["layers"] == 4
    assert summary["compression"]["QuantizeInt8"]["sparsity"] >= 0.5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["compression=[]"], "compression is empty"),
        (["compression=[dora]"], "compression.dora: acts through training; use `loom train"),
        (["compression=[prune_movement]"], "compression.prune_movement: acts through training"),
        (["compression=[quantize_int8,gptq]"], "cannot be combined"),
        (["compression=[quantize_int8]", "compression.quantize_int8.targets=[quary]"], "quary"),
        (["compression=[gptq]", "compression.gptq.group_size=24"], "group_size=24"),
        (["compression=[prune_wanda]", "compression.prune_wanda.rows=900000"], "rows=900000"),
        (["compression=[quantise]"], "quantise"),
    ],
)
def test_what_cannot_be_is_refused(
    parent: RunFolder, ended: Ended, tmp_path: Path, given: list[str], words: str
):
    out = tmp_path / "new" / "out"
    code, said = ended("compress", parent.path, *given, f"paths.output_dir={out}")
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    assert not out.parent.exists()


def test_a_folder_without_a_model_is_refused(ended: Ended, tmp_path: Path):
    code, said = ended("compress", tmp_path, "compression=[gptq]")
    assert code == 2
    assert "neither a finished run" in said


def test_a_sparse_run_is_compressed_again_and_a_quantized_one_is_refused(
    parent: RunFolder, ended: Ended, tmp_path: Path
):
    sparse, small = tmp_path / "sparse", tmp_path / "small"
    stack = ["compression=[prune_structured,prune_wanda]", f"paths.output_dir={sparse}"]
    assert ended("compress", parent.path, *stack)[0] == 0
    narrower = RunFolder(sparse).summary()
    assert narrower["parameters"] < parent.summary()["parameters"]
    code, said = ended(
        "compress", sparse, "compression=[quantize_int8]", f"paths.output_dir={small}"
    )
    assert code == 0, said
    summary = RunFolder(small).summary()
    assert summary["parent"] == str(sparse)
    assert summary["compressed"]["before"]["val/loss"] == pytest.approx(
        narrower["best"]["val/loss"], rel=1e-6
    )
    assert summary["compression"]["QuantizeInt8"]["sparsity"] >= 0.5
    assert "PruneWanda" not in summary["compression"]
    assert ended("generate", small, "--prompt", "Alice", "--max-new-tokens", "3")[0] == 0
    assert ended("evaluate", small)[0] == 0
    out = f"paths.output_dir={tmp_path / 'more'}"
    code, said = ended("compress", small, "compression=[gptq]", out)
    assert code == 2
    assert "quantized already" in said
    code, said = ended("compress", small, "compression=[prune_wanda]", out)
    assert code == 2
    assert f"{sparse} was made by it already; compress what it was made of, {parent.path}" in said
    code, said = ended("compress", small / "model", "compression=[gptq]", out)
    assert code == 2
    assert f"give the run's own folder, such as {small}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("warm_jobs")
def test_stacks_are_swept_and_join_the_tables(parent: RunFolder, ended: Ended, tmp_path: Path):
    sweep = tmp_path / "sweep"
    stacks = "compression=[],[prune_wanda,quantize_int8]"
    code, said = ended("compress", parent.path, "-m", stacks, f"paths.sweep_dir={sweep}")
    assert code == 0, said
    whole, small = Ledger(sweep).jobs()
    assert [whole.state, small.state] == [DONE, DONE]
    rows = {row.job.key: row for row in collect([sweep]) if row.job}
    assert rows[small.key].choice["compression"] == ["prune_wanda", "quantize_int8"]
    assert rows[small.key].costs["bytes"] < rows[whole.key].costs["bytes"]
    assert rows[whole.key].best["val/loss"] == parent.summary()["best"]["val/loss"]
    data = page_data(sweep)
    assert {"bytes", "latency_seconds"} <= set(data["costs"])
    command = f"loom compress {parent.path} -m '{stacks}' paths.sweep_dir={sweep}"
    assert data["command"] == command
    before = [job.ended for job in Ledger(sweep).jobs()]
    assert ended("sweep", "resume", sweep)[0] == 0
    assert [job.ended for job in Ledger(sweep).jobs()] == before
    assert ended("compare", sweep, "--pareto", "bytes,latency_seconds")[0] == 0


def test_a_sweep_of_stacks_is_refused_before_any_work(
    parent: RunFolder, ended: Ended, tmp_path: Path
):
    for stacks, words in (
        ("[prune_wanda],[lora]", "compression.lora: acts through training"),
        ("[prune_wanda],[prune_movement],[lora]", "3 jobs, 2 refused; nothing was started:"),
        ("[prune_wanda],[gptq,quantize_int8]", "cannot be combined"),
    ):
        code, said = ended(
            "compress", parent.path, "-m", f"compression={stacks}",
            f"paths.sweep_dir={tmp_path / 'sweep'}",
        )  # fmt: skip
        assert code == 2
        assert words in said
    assert not (tmp_path / "sweep").exists()


def test_a_technique_is_not_repeated_unless_it_is_of_other_layers(tmp_path: Path):
    def run(name: str, made_of: Path | None, **compression: dict) -> Path:
        folder = RunFolder(tmp_path / name)
        needed = {axis: {"_target_": "x"} for axis in NEEDED}
        folder.create(OmegaConf.create({**needed, "compression": compression}), [])
        folder.write_summary({"parent": str(made_of)} if made_of else {})
        return folder.path

    def said(source: Path | str | None, targets: list[str]) -> list[str]:
        node = {"_target_": "loomlab.compression.prune_wanda.PruneWanda", "targets": targets}
        config = {"init": source and str(source), "compression": {"prune_wanda": node}}
        return [str(problem) for problem in refusals(OmegaConf.create(config))]

    trained = run("trained", None, prune_gradual={})
    sparse = run("sparse", trained, prune_wanda={"targets": ["mlp.*"]})
    small = run("small", sparse, quantize_int8={})
    twice = f"compression.prune_wanda: {sparse} was made by it already; "
    for source in (small, sparse):
        assert said(source, []) == [f"{twice}compress what it was made of, {trained}"]
        assert said(source, ["qkv", "mlp.*"]) == said(source, [])
        assert said(source, ["qkv"]) == []
    assert said(trained, []) == said("no/run", []) == said(None, []) == []
    again = run("again", None, prune_wanda={})
    assert said(again, ["qkv"]) == [
        f"compression.prune_wanda: {again} was made by it already; take another one"
    ]
    RunFolder(again).write_summary({"parent": str(again)})  # a record that leads nowhere
    assert len(said(again, [])) == 1


def test_only_what_makes_the_model_is_taken_over_from_a_run(tmp_path: Path):
    """That a run replaced another does not let what is made of it replace a third."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    given = ["model.width=16", "overwrite=true", "paths.output_dir=x", "paths.cache_dir=c"]
    (tmp_path / "overrides.json").write_text(json.dumps(given))
    assert beginning_of(tmp_path, []) == [
        "model.width=16", "paths.cache_dir=c", override("init", tmp_path)
    ]  # fmt: skip
