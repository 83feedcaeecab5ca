"""The same command line in every process: what the first one makes of it."""

from pathlib import Path

import pytest

from loomlab.entry.among import refuse_sweep, resumed, train_among, with_sizes
from loomlab.errors import InputError
from loomlab.parallelism.place import Place


def place(rank: int = 0, devices: int = 1, nodes: int = 2, attempt: int = 0) -> Place:
    return Place("torchrun", rank, 0, rank, devices, nodes, "127.0.0.1", 1, attempt, False)


def test_without_a_place_it_is_an_ordinary_run():
    seen = []
    assert train_among(None, ["seed=1"], ["seed=1"], lambda *given: seen.append(given)) == 0
    assert seen == [(["seed=1"], ["seed=1"])]


def test_sizes_are_those_of_the_launcher():
    sizes = ["parallelism.devices=1", "parallelism.num_nodes=2"]
    assert with_sizes(place(), ["parallelism=ddp"]) == ["parallelism=ddp", *sizes]
    assert with_sizes(place(), ["parallelism=ddp", sizes[1]]) == ["parallelism=ddp", *sizes]
    assert with_sizes(place(), ["resume=x"]) == ["resume=x", *sizes]
    assert with_sizes(place(nodes=1), ["seed=1"]) == ["seed=1"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["seed=1"],
            "has started 2 processes, and parallelism=single is one: add parallelism=ddp",
        ),
        (["parallelism=ddp", "parallelism.devices=2"], "devices=2: torchrun has started 1; leave"),
    ],
)
def test_other_sizes_are_refused(overrides: list[str], words: str):
    with pytest.raises(InputError, match=words):
        with_sizes(place(), overrides)


def test_a_sweep_starts_its_processes_itself():
    refuse_sweep(None)
    with pytest.raises(InputError, match="leave torchrun out"):
        refuse_sweep(place())
    with pytest.raises(SystemExit):
        refuse_sweep(place(rank=1))


def test_a_further_attempt_goes_on_where_the_last_state_is(tmp_path: Path):
    given = ["parallelism=ddp", "seed=3", "paths.output_dir=elsewhere"]
    assert resumed(place(), None, given) == given
    fresh = ["parallelism=ddp", "seed=3", f"paths.output_dir='{tmp_path}'", "overwrite=true"]
    assert resumed(place(), tmp_path, given) == fresh
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    assert resumed(place(), tmp_path, given) == fresh, "there is no state yet"
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert resumed(place(), tmp_path, given) == [f"resume='{tmp_path}'"]
    requeued = ["parallelism=ddp", f"paths.output_dir='{tmp_path}'"]
    assert resumed(place(attempt=1), None, requeued) == [f"resume='{tmp_path}'"]
    assert resumed(place(attempt=1), None, given[:2]) == given[:2]
