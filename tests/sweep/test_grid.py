"""Every combination of values, and nothing else."""

from collections.abc import Callable

from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]


def test_all_combinations_the_last_key_fastest(planned: Planned):
    made = planned("model=gpt,gpt_tiny", "optimizer.lr=range(1,3)")
    assert [job.overrides for job in made.jobs] == [
        ["model=gpt", "optimizer.lr=1"],
        ["model=gpt", "optimizer.lr=2"],
        ["model=gpt_tiny", "optimizer.lr=1"],
        ["model=gpt_tiny", "optimizer.lr=2"],
    ]
    assert made.jobs[3].differs == {"model": "gpt_tiny", "optimizer.lr": "2"}


def test_stacks_of_a_multi_select_axis(planned: Planned):
    made = planned("compression=[],[lora]", "regularization=[ema],[ema,z_loss]")
    assert [list(job.differs.values()) for job in made.jobs] == [
        ["[]", "[ema]"],
        ["[]", "[ema,z_loss]"],
        ["[lora]", "[ema]"],
        ["[lora]", "[ema,z_loss]"],
    ]


def test_all_options_of_a_group(planned: Planned):
    made = planned("precision=glob(*)", "experiment=glob(quick*)")
    assert [job.differs for job in made.jobs] == [
        {"precision": name} for name in ("auto", "bf16", "fp32")
    ]
    assert all("experiment=quickstart" in job.overrides for job in made.jobs)
