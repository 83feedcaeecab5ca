"""Composing as hydra.main would, and Hydra's global state put back."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from loomlab.compose.composer import compose_job, composing


def test_defaults_compose_and_resolve():
    with composing():
        config = compose_job([])
    assert config.model._target_ == "loomlab.model.gpt.GPTConfig"
    assert set(config.callbacks) == {
        "checkpoint", "guard", "throughput", "samples", "progress",
    }  # fmt: skip
    OmegaConf.resolve(config.paths)
    for key in config:
        assert key == "hydra" or "${" not in str(config[key])


def test_preset_changes_only_what_it_names():
    with composing():
        small, base = compose_job(["model=gpt_small"]).model, compose_job([]).model
    changed = {key for key in base if small[key] != base[key]}
    assert changed == {"layers", "width", "heads"}


def test_empty_selections_of_multi_select_axes():
    with composing():
        config = compose_job(["callbacks=[]", "logger=none", "compression=[]"])
    assert not config.callbacks
    assert not config.logger
    assert not config.compression


def test_order_of_selection_is_kept():
    with composing():
        names = list(compose_job(["callbacks=[samples,checkpoint]"]).callbacks)
    assert names == ["samples", "checkpoint"]


def test_state_is_put_back_also_after_an_error():
    with pytest.raises(KeyError), composing():
        raise KeyError("inside")
    assert not GlobalHydra.instance().is_initialized()
