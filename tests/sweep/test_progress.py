"""How far a job is, from files written by hand as a run writes them."""

import json
from pathlib import Path

import pytest

from loomlab.run.ledger import DONE, PENDING, RUNNING, Job
from loomlab.sweep.progress import Progress, Watch

HEAD = "step,tokens,flops,seconds,train/loss"
BITS = "val/bits_per_byte"


class Running:
    """A job that runs, in the folder of a sweep."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "000"
        self.run.mkdir()
        self.watch = Watch(folder)
        self.metrics = self.run / "metrics.csv"

    def write(self, *lines: str, anew: bool = True) -> None:
        """metrics.csv written anew, in another file as a run does, or continued."""
        text = "".join(f"{line}\n" for line in lines)
        if anew:
            (self.run / ".partial").write_text(text)
            (self.run / ".partial").replace(self.metrics)
        else:
            with self.metrics.open("a") as file:
                file.write(text)

    def far(self, tokens: int | None = 4000, **columns: object) -> Progress:
        job = Job("key", 0, "000", [], {}, state=RUNNING, tokens=tokens)
        return self.watch.of(Job(**{**vars(job), **columns}))


@pytest.fixture
def job(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_a_job_that_has_not_begun_has_no_progress(job: Running):
    assert job.far() == Progress()
    job.write(HEAD)
    assert job.far() == Progress()
    (job.run / "summary.json").write_text(json.dumps({"metric": BITS}))
    assert job.far() == Progress()


def test_the_newest_of_each_number(job: Running):
    (job.run / "summary.json").write_text(json.dumps({"metric": "val/accuracy"}))
    job.write(HEAD, "10,1000,5,2.0,3.5")
    assert job.far() == Progress(10, "val/accuracy", None, 6.0)
    job.write(f"{HEAD},{BITS},val/accuracy", "10,1000,5,2.0,3.5,,", "20,2000,5,4.0,,2.5,0.25")
    assert job.far() == Progress(20, "val/accuracy", 0.25, 4.0)
    job.write("30,3000,5,9.0,3.0,,", "40,4", anew=False)
    assert job.far() == Progress(30, "val/accuracy", 0.25, pytest.approx(3.0))  # type: ignore


def test_a_line_is_read_once_it_is_whole(job: Running):
    job.write(HEAD, "10,1000,5,2.0,3.5")
    assert job.far().step == 10
    with job.metrics.open("a") as file:
        file.write("20,2000,5,4.0,3")
    assert job.far().step == 10
    with job.metrics.open("a") as file:
        file.write(".1\n")
    assert (job.far().step, job.far().left) == (20, 4.0)


def test_a_file_that_was_written_anew_unnoticed_is_read_again(job: Running):
    job.write(HEAD, "10,1000,5,2.0,3.5")
    assert job.far().step == 10
    with job.metrics.open("w") as file:  # another file that has the place of the old one
        file.write(f"{HEAD},{BITS}\n10,1000,5,2.0,3.5,\n20,2000,5,4.0,3.1,2.5\n")
    job.far()
    assert (job.far().step, job.far().value) == (20, 2.5)


@pytest.mark.parametrize(
    ("tokens", "budget", "left"),
    [
        (4000, "{steps: 40}", 6.0),
        (None, "{seconds: 60, steps: null}", 58.0),
        (None, "{flops: 1.5e+1}", 4.0),
        (None, "{epochs: 2}", None),
        (500, "{}", 0.0),
        (None, "[1", None),
    ],
)
def test_what_is_left_of_a_budget(
    job: Running, tokens: int | None, budget: str, left: float | None
):
    (job.run / "config.yaml").write_text(f"budget: {budget}\n")
    job.write(HEAD, "10,1000,5,2.0,3.5")
    assert job.far(tokens).left == (None if left is None else pytest.approx(left))


def test_of_a_job_that_does_not_run_the_ledger_tells(job: Running):
    job.write(HEAD, "10,1000,5,2.0,3.5")
    assert job.far(state=DONE, metric=BITS, value=2.5) == Progress(None, BITS, 2.5, None)
    assert job.far(state=PENDING) == Progress()
