"""An export that computes something else does not count."""

import math

from loomlab.format.safetensors import Safetensors
from loomlab.run.verification import problems

SAME = {"max_difference": 1e-6, "perplexity_before": 20.0, "perplexity": 20.001}


def test_the_same_numbers_are_no_problem():
    assert problems(Safetensors(), SAME) == []


def test_a_logit_that_is_off():
    (said,) = problems(Safetensors(), {**SAME, "max_difference": 0.5})
    assert "a logit is off by 0.5" in said


def test_a_perplexity_that_is_off():
    (said,) = problems(Safetensors(), {**SAME, "perplexity": 20.1})
    assert "20.1000 instead of 20.0000" in said


def test_an_error_that_is_off():
    numbers = {"max_difference": 1e-6, "rmse_before": 7.0, "rmse": 7.5}
    (said,) = problems(Safetensors(), numbers)
    assert "the rmse of held-out text is 7.5000 instead of 7.0000" in said


def test_what_is_no_number_is_a_problem():
    assert len(problems(Safetensors(), {**SAME, "max_difference": math.nan})) == 1
    assert len(problems(Safetensors(), {**SAME, "perplexity": math.nan})) == 1
