"""A pipeline that cannot be is refused from its settings alone, with what to give instead."""

import pytest

from loomlab.parallelism.pipeline_checks import problems

FINE = {"devices": 4, "num_nodes": 1, "data_parallel": 1, "micro_batches": 4, "schedule": "1f1b"}


def said(
    layers: object = 4,
    batch: int = 16,
    steps: int = 1,
    micro: int | None = None,
    **settings: object,
) -> list[str]:
    trainer = {"accumulate_grad_batches": steps}
    config = {"model": {"layers": layers}, "trainer": trainer, "global_batch_size": batch,
              "micro_batch_size": micro}  # fmt: skip
    return problems({**FINE, **settings}, config)


def test_what_can_be_is_not_refused():
    assert said() == said(layers=None) == said(steps=2, batch=8) == []
    assert said(data_parallel=2, micro_batches=2, batch=4) == []
    assert said(schedule="gpipe", micro_batches=2) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": 3}, "devices: 4 stages need as many blocks, and there are model.layers=3"),
        ({"data_parallel": 3}, "4 processes are not 3 copies of 2 or more stages; give devices=6"),
        ({"data_parallel": 4}, "give devices=8, or use parallelism=ddp"),
        ({"micro_batches": 2}, "1f1b needs one for each of 4 stages, not 2; give micro_batches=4"),
        ({"micro_batches": 5}, "16 rows of a step cannot be cut into 5; nearest that can: 4 or 8"),
        ({"batch": 24, "steps": 2, "micro_batches": 8}, "12 rows of a step cannot be cut into 8"),
    ],
    ids=str,
)
def test_what_cannot_be_is(settings: dict, words: str):
    (only,) = said(**settings)
    assert words in only


def test_micro_batches_of_given_rows_make_as_many_steps_as_it_takes():
    assert said(micro=1, micro_batches=5, batch=10) == []
