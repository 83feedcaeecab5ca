"""The numbers of a regression are those of SciPy and scikit-learn, in any order and batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)

from loomlab.errors import InputError
from loomlab.measure.by_part import ScoresByPart
from loomlab.measure.number_scores import NumberScores

NAMES = {"loss", "rmse", "mae", "pearson", "spearman", "r2"}
UNIT = np.array([12.0, 0.25])


def pairs(rows: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """Said and true numbers, with many ties among the true ones."""
    generator = torch.Generator().manual_seed(5)
    true = torch.randint(-3, 4, (rows, 2), generator=generator) / 2.0
    said = true + torch.randn(rows, 2, generator=generator) * torch.tensor([0.5, 3.0])
    return said, true


def scored(*batches: tuple[torch.Tensor, torch.Tensor]) -> NumberScores:
    scores = NumberScores(UNIT[: batches[0][0].shape[1]])
    for said, true in batches:
        scores.add(said, true)
    return scores


def expected(said: np.ndarray, true: np.ndarray) -> dict[str, float]:
    own_said, own_true = said * UNIT + 7, true * UNIT + 7
    columns = list(zip(said.T, true.T, strict=True))
    return {
        "loss": mean_squared_error(true, said),
        "rmse": root_mean_squared_error(own_true, own_said),
        "mae": mean_absolute_error(own_true, own_said),
        "pearson": np.mean([pearsonr(s, t).statistic for s, t in columns]),
        "spearman": np.mean([spearmanr(s, t).statistic for s, t in columns]),
        "r2": r2_score(own_true, own_said),
    }


def test_they_are_those_of_the_libraries_whatever_the_batches():
    said, true = pairs()
    found = scored((said, true)).result()
    assert found == pytest.approx(expected(said.double().numpy(), true.double().numpy()))
    assert set(found) == NAMES
    mixed = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    cut = [(said[part], true[part]) for part in mixed.split(7)]
    assert scored(*cut).result() == pytest.approx(found, rel=1e-12)


def test_parts_are_put_together():
    said, true = pairs()
    by_part = ScoresByPart(
        lambda *_: NumberScores(UNIT), {"one": torch.ones(1), "two": torch.ones(1)}
    )
    by_part.of("one").add(said[:20], true[:20])
    by_part.of("two").add(said[20:], true[20:])
    found = by_part.result()
    whole = scored((said, true)).result()
    assert {name: found[name] for name in whole} == pytest.approx(whole)
    assert found["two/r2"] == pytest.approx(scored((said[20:], true[20:])).result()["r2"])


@pytest.mark.parametrize(
    ("said", "true", "r2"),
    [([1.0, 1.0], [0.0, 2.0], 0.0), ([0.0, 2.0], [1.0, 1.0], 0.0), ([1.0, 1.0], [1.0, 1.0], 1.0)],
)
def test_one_value_alone_has_no_correlation(said: list[float], true: list[float], r2: float):
    columns = (torch.tensor(said)[:, None], torch.tensor(true)[:, None])
    found = scored(columns).result()
    assert (found["pearson"], found["spearman"], found["r2"]) == (0.0, 0.0, r2)
    assert r2_score(true, said) == r2, "as scikit-learn has it"


def test_nothing_scored_is_refused():
    with pytest.raises(InputError, match=r"no held-out row was scored"):
        NumberScores([1.0]).result()


def share(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    said, true = pairs()
    scores = NumberScores(UNIT)
    if rank:  # the other has no batch
        scores.add(said, true)
    torch.save(scores.reduce().result(), f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.mark.slow  # two processes that import torch
def test_processes_share_their_pairs(tmp_path: Path):
    torch.multiprocessing.spawn(share, (str(tmp_path),), nprocs=2)
    alone = scored(pairs()).result()
    for rank in range(2):
        assert torch.load(tmp_path / str(rank)) == pytest.approx(alone, rel=1e-12)
