"""What was measured once is not measured again in the same run."""

from omegaconf import OmegaConf

from loomlab.run.measured import keep_measured_choices


def config() -> object:
    return OmegaConf.create({
        "runtime": {"allocator": "keep", "matmul": "auto"}, "precision": {"faster_by": 1.5}
    })  # fmt: skip


def test_kernels_and_format_of_the_first_process():
    mine = config()
    runtime = {"allocator": "default", "matmul": "medium", "threads": 1}
    keep_measured_choices(mine, {"runtime": runtime, "precision": "bf16-mixed"})
    assert mine.runtime == {"allocator": "default", "matmul": "medium"}
    assert mine.precision.measured is True


def test_a_format_that_was_chosen_is_left_alone():
    mine = OmegaConf.create({"runtime": {}, "precision": {}})
    keep_measured_choices(mine, {"precision": "bf16-mixed"})
    assert mine == {"runtime": {}, "precision": {}}
