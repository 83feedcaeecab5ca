"""A user's own project: option classes outside the package and config folders for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from loomlab.compose.gate import check

OPTIMIZER = '''"""An optimizer of the user's."""
from typing import Annotated, Literal

import torch


class Sign(torch.optim.SGD):
    """Step by the sign of the gradient."""

    def __init__(
        self,
        lr: Annotated[float, "(0, 1]"] = 0.1,
        mode: Literal["hard", "soft"] = "hard",
        *,
        model,
    ) -> None:
        super().__init__(model.parameters(), lr=lr)
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with my_<name>.py and conf/optimizer/sign.yaml beside it; returns conf/."""
    module = f"my_{tmp_path.parent.name.replace('-', '_')}_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(OPTIMIZER)
    conf = tmp_path / "conf"
    (conf / "optimizer").mkdir(parents=True)
    (conf / "optimizer" / "sign.yaml").write_text(
        f"defaults: [/schema/optimizer/sign@_here_, _self_]\n_target_: {module}.Sign\n"
    )
    return conf


@pytest.fixture
def said() -> Iterator[Callable[..., str]]:
    """The gate's message on overrides; empty where all is well."""

    def message(*overrides: str, arguments: list[str] | None = None) -> str:
        checked = check(list(overrides), arguments)
        return checked.message() if checked.problems else ""

    yield message
    GlobalHydra.instance().clear()
