"""A stage that is rehearsed alone keeps and sends what it would in its pipeline."""

import torch

from loomlab.model.gpt import GPTConfig
from loomlab.parallelism.pipeline import Pipeline


def test_stages_tell_apart_who_holds_what():
    pipeline = Pipeline(devices=8, micro_batches=8, data_parallel=2)
    assert pipeline.unlike_ranks == {0: 2, 3: 2, 1: 4}
    assert pipeline.idle == 3 / 11
    assert Pipeline(devices=2).unlike_ranks == {0: 1, 1: 1}


def test_layouts_fill_a_pipeline_with_the_rows_there_are():
    found = Pipeline.layouts(count=16, per_node=8, rows=32)
    assert {f["data_parallel"] for f in found} == {8, 4, 2}
    for settings in found:
        assert settings["devices"] * settings["num_nodes"] == 16
        stages = 16 // settings["data_parallel"]
        assert settings["micro_batches"] >= stages
        assert (32 // settings["data_parallel"]) % settings["micro_batches"] == 0
    assert Pipeline.layouts(count=1, per_node=8, rows=32) == []


def test_a_tied_weight_is_known_before_the_model_is_cut():
    with torch.device("meta"):
        model = GPTConfig(layers=2, width=16, heads=2, vocab_size=32).build("causal_lm")
    pipeline = Pipeline(devices=2)
    pipeline.part(type("Objective", (), {"model": model})(), rank=0)
    tied = next(m for m in pipeline.messages([]) if m.ranks == 2)
    assert tied.size == 32 * 16 * 4
