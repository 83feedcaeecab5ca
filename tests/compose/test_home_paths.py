"""Paths that begin with `~`."""

import pytest
from omegaconf import OmegaConf

from loomlab.compose.home_paths import paths_at_home


def test_paths_at_home_are_made_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = OmegaConf.create({"paths": {"output_dir": "~/runs/a", "cache_dir": "/cache"}})
    assert paths_at_home(config) == ["paths.output_dir='/home/someone/runs/a'"]
    assert config.paths == {"output_dir": "/home/someone/runs/a", "cache_dir": "/cache"}
    odd = {"paths": {"output_dir": "${nothing}"}, "model": None, "tokenizer": "x", "init": None}
    for stack in ({}, ["lora"], None):
        assert paths_at_home(OmegaConf.create({**odd, "compression": stack})) == []
