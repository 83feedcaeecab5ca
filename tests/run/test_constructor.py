"""Options are bound to their settings; a target that is not allowed builds nothing."""

import pytest
import torch
from omegaconf import OmegaConf

from loomlab.errors import InputError
from loomlab.run.constructor import constructor


def test_settings_are_bound_and_run_time_values_are_due():
    node = {"_target_": "loomlab.optimizer.sgd.SGD", "lr": "${rate}"}
    config = OmegaConf.create({"rate": 0.25, "optimizer": node})
    option = constructor(config.optimizer)
    assert option.keywords["lr"] == 0.25
    assert "model" not in option.keywords
    model = torch.nn.Linear(2, 2)
    assert option(model=model).param_groups[0]["lr"] == 0.25


def test_no_target_inside_is_built_that_is_not_allowed():
    inner = {"_target_": "os.system", "command": "true"}
    node = {"_target_": "loomlab.optimizer.sgd.SGD", "lr": inner}
    with pytest.raises(InputError, match=r"os\.system is outside loomlab"):
        constructor(OmegaConf.create(node))
