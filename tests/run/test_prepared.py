"""A prepared folder says all that its run needs, or which secret it lacks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.run.prepared import prepare_folder, run_prepared
from loomlab.secrets import MASK


def test_a_secret_that_was_not_written_down_is_asked_for(
    small: Callable[..., list[str]], tmp_path: Path
):
    overrides = small(tmp_path / "run", "name=hush-hush-1234")
    folder, config = prepare_folder(check(overrides).only(), overrides)
    assert config.name == "hush-hush-1234"
    written = folder.path / "config.yaml"
    written.write_text(written.read_text().replace("hush-hush-1234", f"'{MASK}'"))
    with pytest.raises(InputError, match="name was kept out of the record, as a secret"):
        run_prepared(folder)
    assert folder.summary() == {}
