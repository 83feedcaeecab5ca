"""What `loom plan` is told, what it fills in and what it refuses."""

import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.errors import InputError
from loomlab.plan.planned import Planned, hardware_of, planned


def plan(*arguments: str) -> Planned:
    return planned(list(arguments), Catalog(all_conf_dirs()))


def test_a_count_of_devices_fills_in_nodes_and_batch():
    found = plan("parallelism=fsdp2", "hardware=h100", "hardware.count=1024")
    assert (found.parallelism.devices, found.parallelism.num_nodes) == (8, 128)
    assert found.config.global_batch_size == 1024
    assert found.notes == ["parallelism.devices=8", "parallelism.num_nodes=128",
                           "global_batch_size=1024"]  # fmt: skip


def test_a_batch_that_is_given_stays_and_must_divide():
    with pytest.raises(InputError, match="nearest that can: 8 or 16"):
        plan("parallelism=ddp", "parallelism.devices=8", "global_batch_size=12", "hardware=l4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hardware=h200"], "hardware=h200: there is none; did you mean"),
        (["hardware=h100", "hardware.tflops_bf61=1"], "did you mean tflops_bf16"),
        (["hardware=h100", "hardware.efficiency=2"], "2 is outside"),
        (["hardware=h100", "hardware.count=8"], "give parallelism=ddp or fsdp2"),
        (["hardware=a100", "hardware.count=12", "parallelism=ddp"], "give 8 or 16"),
        (["hardware=a100", "hardware.count=4", "parallelism=ddp", "parallelism.devices=2"],
         "leave one of them out"),
        (["hardware=a100", "modle.width=3"], "did you mean model"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(arguments: list[str], said: str):
    with pytest.raises(InputError, match=said):
        plan(*arguments)


def test_presets_of_hardware_are_read_with_settings():
    h100 = hardware_of(["hardware=h100", "hardware.efficiency=0.5"])
    assert h100.flops_per_second(half=True) == pytest.approx(494.5e12)
    assert hardware_of(["hardware=l4"]).memory == 24e9
    assert hardware_of(["hardware=a100"]).memory == 80e9
