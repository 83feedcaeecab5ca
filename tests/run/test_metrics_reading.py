"""Reading metrics.csv, also while it is being written, without what training needs."""

import subprocess
import sys
from pathlib import Path

from loomlab.run.metrics_reading import read_metrics, read_so_far

WHOLE = "step,tokens,val/loss,train/loss\n1,64,,5.5\n2,128,nan,5.25\n"


def test_numbers_of_every_row(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_text(WHOLE)
    first, second = read_metrics(path)
    assert first == {"step": 1, "tokens": 64, "train/loss": 5.5}
    assert second["val/loss"] != second["val/loss"]
    assert str(read_so_far(path)) == str([first, second])


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    assert read_so_far(path) == []
    for begun in ("3,19", "3,192,4.0,5", "3,192,4.0,5.0"):
        path.write_text(WHOLE + begun)
        assert [row["step"] for row in read_so_far(path)] == [1, 2]
    path.write_text(WHOLE + "3,192,4.0,5.0\n")
    assert read_so_far(path)[-1] == {"step": 3, "tokens": 192, "val/loss": 4, "train/loss": 5}


def test_what_is_no_number_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(WHOLE.encode() + b"3,1\xff2,oops,5.0\nstray\n\n")
    assert read_so_far(path)[2:] == [{"step": 3, "train/loss": 5}]
    path.write_bytes(b"")
    assert read_so_far(path) == []
    path.write_bytes(b"step,tok")
    assert read_so_far(path) == []


def test_it_imports_nothing_heavy():
    code = (
        "import sys, loomlab.report.collect, loomlab.report.export\n"
        "print({'torch', 'pytorch_lightning', 'transformers', 'wandb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
