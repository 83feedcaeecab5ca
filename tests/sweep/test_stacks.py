"""Settings of an option reach the jobs that select it, and no others."""

from collections.abc import Callable

from loomlab.sweep.plan import Plan
from loomlab.sweep.stacks import each_its_own

Planned = Callable[..., Plan]


def test_a_setting_is_of_the_jobs_that_select_its_option():
    jobs = [
        ["compression=[]", "compression.lora.rank=4", "seed=1", "optimizer.lr=1"],
        ["compression=[lora,quantize_int8]", "+compression.lora.rank=4", "seed=1"],
        ["compression=[quantize_int8]", "compression.lora.rank=4", "compression.gptq.bits=3"],
        ["compression.lora.rank=4"],
    ]
    assert each_its_own(jobs) == [
        ["compression=[]", "seed=1", "optimizer.lr=1"],
        jobs[1],
        ["compression=[quantize_int8]", "compression.gptq.bits=3"],
        jobs[3],
    ]


def test_stacks_of_all_kinds_are_one_sweep(planned: Planned):
    stacks = "[],[lora],[prune_wanda],[prune_wanda,distill],[distill,quantize_int8]"
    made = planned(f"compression={stacks}", "compression.distill.teacher=self")
    assert not made.checked.problems
    assert len(made.jobs) == 5
    assert all(set(job.differs) == {"compression"} for job in made.jobs)
    teachers = [c.compression.distill.teacher for c in made.configs.values()
                if "distill" in c.compression]  # fmt: skip
    assert teachers == ["self", "self"]


def test_what_is_varied_for_some_varies_no_others(planned: Planned):
    made = planned("compression=[],[lora]", "compression.lora.rank=4,8")
    assert [job.differs for job in made.jobs] == [
        {"compression": "[]"},
        {"compression": "[lora]", "compression.lora.rank": "4"},
        {"compression": "[lora]", "compression.lora.rank": "8"},
    ]
    assert made.same == [(1, 0)], "two jobs without it are one"


def test_a_setting_of_what_no_job_selects_is_refused(planned: Planned):
    message = planned("compression=[],[lora]", "compression.distill.alpha=1").checked.message()
    assert "distill is not selected on axis compression" in message
    assert message.endswith("(all jobs)")
