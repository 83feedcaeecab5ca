"""compile=off leaves the model alone."""

from torch import nn

from loomlab.compile.off import Off


def test_the_model_is_as_it_was():
    model = nn.Linear(2, 2)
    before = dict(vars(model))
    Off().apply(model)
    assert vars(model) == before
