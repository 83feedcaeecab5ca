"""Of the processes of a run the first one alone has loggers besides metrics.csv."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from loomlab.parallelism.ddp import DDP
from loomlab.run import trainer
from loomlab.run.folder import RunFolder


class Counted:
    """A logger option that says what was built for which run."""

    def build(self, **told: Any) -> str:
        return str(told["name"])


@pytest.mark.parametrize(("rank", "names"), [(0, ["metrics", "seen"]), (1, ["metrics"])])
def test_a_further_process_logs_to_no_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rank: int, names: list[str]
):
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setattr(trainer, "constructor", lambda node: Counted)
    monkeypatch.setattr(trainer, "facts_of", lambda *_: {})
    parts: Any = SimpleNamespace(
        parallelism=DDP(), metrics="metrics", corpus=None, objective=None
    )  # fmt: skip
    config = OmegaConf.create({"name": "seen", "logger": {"one": {}}})
    assert trainer.build_loggers(config, parts, RunFolder(tmp_path)) == names
