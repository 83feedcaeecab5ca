"""Flat settings of runs, and which of them tell runs apart."""

import pytest

from loomlab.report.settings import (
    Settings,
    differing,
    flat,
    of_config,
    of_overrides,
    parsed,
    same_as,
    shown,
    without,
)

ADAMW = {"_target_": "loomlab.optimizer.adamw.AdamW", "lr": 0.001, "betas": [0.9, 0.95]}
SGD = {"_target_": "loomlab.optimizer.sgd.SGD", "lr": 0.1, "momentum": 0.9}


def config(optimizer: dict[str, object], **more: object) -> dict[str, object]:
    name = "adamw" if "betas" in optimizer else "sgd"
    choice = {"model": "gpt", "optimizer": name, "compression": more.pop("picked", [])}
    return {
        "seed": 1, "model": {"layers": 2}, "optimizer": optimizer, "budget": {"steps": 10},
        "compression": {}, "paths": {"output_dir": f"runs/{name}"}, "choice": choice, **more,
    }  # fmt: skip


def apart(*configs: dict[str, object], given: tuple[str, ...] = ()) -> list[str]:
    return differing([of_config(c, [f"{key}=?" for key in given]) for c in configs])


def test_keys_are_flat_and_options_have_their_names():
    found = flat(config(ADAMW, hub={"hf_token": "hf_abc", "api_key": None}))
    assert found["optimizer"] == "adamw"
    assert found["optimizer.betas"] == [0.9, 0.95]
    assert found["budget.steps"] == 10
    assert found["compression"] == []
    assert found["hub.hf_token"] == "***"
    assert found["hub.api_key"] is None
    assert not [key for key in found if key.startswith("choice")]


def test_defaults_of_another_option_are_told_by_the_option():
    assert apart(config(ADAMW), config(SGD)) == ["optimizer"]


def test_a_setting_counts_where_runs_of_an_option_differ_in_it():
    faster = {**SGD, "lr": 1.0}
    assert apart(config(ADAMW), config(SGD), config(faster)) == ["optimizer", "optimizer.lr"]


def test_what_the_command_line_gave_counts_across_options():
    found = apart(config(ADAMW), config(SGD), given=("optimizer.lr", "optimizer"))
    assert found == ["optimizer", "optimizer.lr"]


def test_seeds_paths_and_loggers_are_no_difference():
    other = config(ADAMW, seed=2, name="x", paths={"output_dir": "z"}, logger={"wandb": {"a": 1}})
    assert apart(config(ADAMW), other) == []


def test_settings_of_every_kind_are_seen():
    assert apart(config(ADAMW), config(ADAMW, budget={"steps": 20})) == ["budget.steps"]
    assert apart(config(ADAMW), config({**ADAMW, "fused": True})) == ["optimizer.fused"]
    same_name = {**ADAMW, "_target_": "mine.AdamW"}
    assert apart(config(ADAMW), config(same_name)) == ["optimizer._target_"]


def test_settings_of_a_listed_option_are_compared_among_runs_that_have_it():
    four, eight = ({"lora": {"rank": rank}} for rank in (4, 8))
    plain = config(ADAMW)
    low = config(ADAMW, picked=["lora"], compression=four)
    high = config(ADAMW, picked=["lora"], compression=eight)
    assert apart(plain, low) == ["compression"]
    assert apart(plain, low, high) == ["compression", "compression.lora.rank"]


def test_axes_that_a_model_brings_are_no_difference():
    own = without(of_config(config(SGD)), ["optimizer"])
    assert differing([of_config(config(ADAMW)), own]) == []
    assert not [key for key in own.values if key.startswith("optimizer")]


def test_a_job_that_never_started_is_known_by_its_command_line():
    waiting = of_overrides(
        ["optimizer=sgd", "+optimizer.lr=1e-1", "seed=3", "compression=[lora]", "paths.x=y"]
    )
    assert waiting.values == {"optimizer": "sgd", "optimizer.lr": 0.1, "compression": ["lora"]}
    found = differing([of_config(config(SGD)), waiting])
    assert found == ["compression"], "what it does not say is no difference"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("1e-3", 0.001), ("[a,b]", ["a", "b"]), ("gpt", "gpt"), ("true", True),
     ("null", None), ("{", "{")],
)  # fmt: skip
def test_values_of_a_command_line(text: str, value: object):
    assert parsed(text) == value


def test_equal_values_are_one_and_are_shown_shortly():
    assert same_as(1) == same_as(1.0) != same_as("1")
    assert same_as(True) != same_as(1)
    assert [shown(v) for v in (None, [], ["a", "b"], 0.001)] == ["-", "-", "a+b", "0.001"]
    assert Settings({}, {}).whole
