"""Folders of the jobs of a sweep: short names that sort, say what differs and never meet."""

import re

import pytest

from loomlab.sweep.job_name import SLUG_LENGTH, job_name, slug


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "default"),
        (["model=bert", "optimizer.lr=0.1"], "model-bert_lr-0.1"),
        (["+trainer.max_epochs=3"], "max-epochs-3"),
        (["paths.output_dir=/x/y", "experiment=quickstart", "name=me"], "default"),
        (["corpus.path=/home/me/a file.txt"], "path-home-me-a-file.txt"),
        (["compression=[lora,prune]"], "compression-lora-prune"),
    ],
)
def test_slug(overrides: list[str], expected: str):
    assert slug(overrides) == expected


def test_slug_is_a_short_file_name():
    long = slug([f"model.setting_{i}={'x/y' * 9}" for i in range(9)])
    assert len(long) <= SLUG_LENGTH
    assert re.fullmatch(r"[A-Za-z0-9._-]+", long)
    assert not long.endswith(("-", "_", "."))


def test_job_names_sort_and_differ():
    names = [job_name(i, [f"seed={i}"], "0123abcd") for i in (0, 2, 10)]
    assert names == sorted(names)
    assert names[0] == "000_seed-0_0123abcd"
    assert len({job_name(1, ["name=a"], key) for key in ("0123abcd", "4567abcd")}) == 2
