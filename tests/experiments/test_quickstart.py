"""The first table that anybody sees is what this code computes."""

import re
from pathlib import Path

import pytest

import loomlab
from loomlab.text.cache import default_cache_dir

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| ngram \| - \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|")


@pytest.mark.soak
def test_counting_gives_the_numbers_of_the_table(tmp_path: Path):
    """Counting is the same on every machine; what is trained is not, to the last digit."""
    given = ["experiment=quickstart", "model=ngram", "objective=clm", "logger=none"]
    place = [f"paths.output_dir={tmp_path / 'run'}", f"paths.cache_dir={default_cache_dir()}"]
    summary = loomlab.train(*given, *place).summary
    names = ("bits_per_byte", "perplexity", "accuracy")
    found = (*(f"{summary['best'][f'val/{name}']:.4g}" for name in names),
             f"{summary['parameters']:,}")  # fmt: skip
    for page in (ROOT / "README.md", ROOT / "experiments" / "quickstart" / "README.md"):
        assert ROW.findall(page.read_text()) == [found]
