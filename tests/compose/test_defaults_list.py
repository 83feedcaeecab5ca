"""Lists of defaults are composed as Hydra does, whether they refer to choices or not."""

from pathlib import Path

from hydra import compose
from hydra._internal import defaults_list
from omegaconf import OmegaConf

from loomlab.compose.composer import composing
from loomlab.compose.defaults_list import quick_defaults


def test_an_entry_that_refers_to_a_choice_follows_it(tmp_path: Path):
    """Next to entries that do not, in a list below the root's."""
    for group, name, text in [
        ("pace", "sgd", "layers: 1"),
        ("pace", "adamw", "layers: 2"),
        ("model", "paced", "defaults: [gpt, {/pace@_here_: '${optimizer}'}, _self_]"),
    ]:
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text(text + "\n")
    hydras = defaults_list._create_interpolation_map
    with composing(["--config-dir", str(tmp_path)]):
        for optimizer, layers in (("sgd", 1), ("adamw", 2)):
            job = [f"optimizer={optimizer}", "model=paced", "position=rope"]
            theirs = compose("train", overrides=job, return_hydra_config=True)
            with quick_defaults():
                ours = compose("train", overrides=job, return_hydra_config=True)
            assert ours.model.layers == layers
            assert OmegaConf.to_container(ours) == OmegaConf.to_container(theirs)
    assert defaults_list._create_interpolation_map is hydras
