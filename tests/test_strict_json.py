"""JSON that any reader takes, whatever numbers a run ended with."""

import json
import math

from loomlab.strict_json import dumps, finite


def test_what_is_no_finite_number_is_null():
    value = {"a": math.inf, "b": [-math.inf, 1.5, {"c": math.nan}], "d": (2, True, "x", None)}
    read = json.loads(dumps(value, indent=1), parse_constant=lambda word: f"not JSON: {word}")
    assert read == {"a": None, "b": [None, 1.5, {"c": None}], "d": [2, True, "x", None]}
    assert finite(1.5) == 1.5
