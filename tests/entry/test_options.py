"""`loom options`: what there is, from the same texts that the gates read."""

import pytest

from loomlab.catalog.axes import AXES
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf
from loomlab.entry.options import run
from loomlab.errors import InputError

CATALOG = Catalog([package_conf()])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def test_every_option_of_every_axis_is_listed(capsys: pytest.CaptureFixture[str]):
    lines = printed(capsys)
    for axis in AXES:
        head = next(line for line in lines if line.startswith(f"{axis.name} ("))
        assert axis.kind in head
        assert ("several at once" in head) == axis.multiple
    for found in CATALOG.options.values():
        for option in found:
            assert any(line[3:].split()[:1] == [option] for line in lines)
    assert any(line.startswith(" * gpt ") for line in lines), "the default is marked"


def test_one_axis_shows_settings_with_their_defaults(capsys: pytest.CaptureFixture[str]):
    lines = [line.strip() for line in printed(capsys, "optimizer")]
    assert "optimizer.lr = 0.001" in lines
    assert "optimizer.ns_steps = 5" in lines
    assert not any(line.startswith("model") for line in lines)


def test_presets_show_their_own_values(capsys: pytest.CaptureFixture[str]):
    lines = [line.strip() for line in printed(capsys, "model")]
    small = lines[next(i for i, line in enumerate(lines) if line.startswith("gpt_small")) :]
    assert next(line for line in small if line.startswith("model.width")) == "model.width = 768"


def test_multi_select_settings_have_the_options_name_in_their_path(
    capsys: pytest.CaptureFixture[str],
):
    lines = [line.strip() for line in printed(capsys, "compression")]
    assert "compression.lora.rank = 8" in lines


def test_matrix(capsys: pytest.CaptureFixture[str]):
    lines = printed(capsys, "--matrix")
    assert "refused" in lines[0]
    row = next(line for line in lines if "`objective=clm`" in line and "`model=bert`" in line)
    assert "an encoder sees the token it would have to predict" in row


def test_misspelled_axis():
    with pytest.raises(InputError, match="did you mean optimizer"):
        run(["optimzer"])


def test_what_can_be_searched_is_said_below_the_settings(capsys: pytest.CaptureFixture[str]):
    lines = [line.strip() for line in printed(capsys, "optimizer")]
    at = lines.index("sweep.search=[optimizer] tries optimizer.lr=tag(log, interval(2e-3, 0.1))")
    assert "optimizer.ns_steps = 5" in lines[at - 9 : at], "those of muon"
