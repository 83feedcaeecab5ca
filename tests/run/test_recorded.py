"""Records of runs whose options have changed since."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from loomlab.corpus.text import Text
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.recorded import accepted, require_known_settings

TEXT = {"_target_": "loomlab.corpus.text.Text", "path": "a.txt", "workers": 2}


def test_settings_of_a_class_and_of_those_it_hands_them_on_to():
    assert accepted(Text) >= {"path", "errors", "workers", "max_samples"}
    assert accepted(lambda rate, **more: None) is None
    assert accepted(lambda rate, steps=1: None) == {"rate", "steps"}


def test_what_is_no_longer_there_is_named(tmp_path: Path):
    def check(**node: object) -> None:
        require_known_settings(RunFolder(tmp_path), OmegaConf.create(node), ["corpus"])

    check(corpus=TEXT)
    with pytest.raises(InputError, match=r"config\.yaml: corpus\.worker: Text has no setting 'wo"):
        check(corpus={**TEXT, "worker": 2})
    with pytest.raises(InputError, match=r"config\.yaml: corpus is missing: the file is damaged"):
        check(model=TEXT)
    with pytest.raises(InputError, match=r"os\.mkdir is outside loomlab"):
        check(corpus={"_target_": "os.mkdir", "path": "x"})
