"""`loom plan` prints a table or JSON, and says by its exit code whether the run fits."""

import json
from collections.abc import Callable

import pytest

from loomlab.entry.plan import amount, duration, run

SMALL = ["model.layers=2", "model.width=32", "model.heads=4", "sequence_length=16",
         "tokenizer=byte", "hardware=h100"]  # fmt: skip


def test_a_table_of_what_each_process_needs(capsys: pytest.CaptureFixture[str]):
    assert run([*SMALL, "parallelism=fsdp2", "hardware.count=64"]) == 0
    told = capsys.readouterr().out
    assert "64 x H100" in told
    assert "filled in: parallelism.devices=8 parallelism.num_nodes=8" in told
    for row in (
        "parameter",
        "gradient",
        "optimizer",
        "activations",
        "peak",
        "sent by all_gather",
        "arithmetic",
        "step, estimated",
        "tokens a second",
        "steps of the budget",
    ):
        assert row in told, row  # fmt: skip


def test_json_and_the_exit_code_of_what_does_not_fit(capsys: pytest.CaptureFixture[str]):
    assert run([*SMALL, "hardware.memory_gb=0.0001", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["processes"] == 1
    assert not found["plain"]["fits"]
    assert found["recomputed"]["flops_per_step"] > found["plain"]["flops_per_step"]


@pytest.mark.slow
def test_layouts_are_a_table_too(capsys: pytest.CaptureFixture[str]):
    assert run([*SMALL, "hardware.count=2", "--suggest"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "tokens/s" in told[0]
    assert any("parallelism=ddp" in line for line in told)


def test_a_misspelling_is_refused_in_a_sentence(ended: Callable[..., tuple[int, str]]):
    code, said = ended("plan", "hardware=h10")
    assert code == 2
    assert "did you mean h100?" in said


def test_numbers_are_told_in_units():
    assert [amount(v, "B") for v in (0, 999, 1234, 5e12)] == ["0 B", "999 B", "1.23 kB", "5 TB"]
    assert amount(0.0123, "s") == "12.3 ms"
    assert [duration(s) for s in (5, 90, 7200, 2e5)] == ["5 s", "1.5 min", "2 h", "2.31 d"]
