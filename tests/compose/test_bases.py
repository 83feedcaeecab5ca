"""Composing from a kept base gives what Hydra itself composes."""

import pytest
from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.compose.composer import compose_job, composing

JOBS = [
    [],
    ["seed=2"],
    ["optimizer.lr=0.1", "optimizer=sgd", "seed=3"],
    ["model=bert", "objective=mlm", "tokenizer=wordpiece", "model.width=64"],
    ["+trainer.max_epochs=3", "regularization=[ema,z_loss]", "regularization.ema.decay=0.5"],
    ["experiment=quickstart", "budget.steps=3", "position=rope"],
    ["experiment=quickstart", "position=rope", "budget.steps=4"],
    ["debug=limit", "name=mine", "paths.cache_dir='${paths.output_dir}/cache'"],
    ["callbacks=[]", "hydra.verbose=true", "compression=[lora]"],
    ["model.layers='${seed}'", "seed=4"],
    ["corpus=text", "corpus.path=/a/b c.txt", "++sweep.repeat=2"],
]


def plain(config: object) -> object:
    node = OmegaConf.to_container(config, resolve=False)
    del node["hydra"]["runtime"]["output_dir"]
    return node


def test_equal_to_hydras_own():
    """In one session, so that bases are shared, and twice, so that none was changed by use."""
    with composing():
        for job in [*JOBS, *reversed(JOBS[:4])]:
            theirs = compose("train", overrides=job, return_hydra_config=True)
            ours = compose_job(job)
            assert plain(ours) == plain(theirs), job
            assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)
            assert OmegaConf.get_type(ours.optimizer) is OmegaConf.get_type(theirs.optimizer)


@pytest.mark.parametrize(
    "job", [["seed=a"], ["optimizer.lrr=1"], ["seed=1,2"], ["model=gpx"], ["=3"], ["~nothing"]]
)
def test_refuses_what_hydra_refuses(job: list[str]):
    with composing():
        with pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as theirs:
            compose("train", overrides=job, return_hydra_config=True)
        with pytest.raises(type(theirs.value)) as ours:
            compose_job(job)
    assert str(ours.value) == str(theirs.value)
