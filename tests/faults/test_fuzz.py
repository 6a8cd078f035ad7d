"""A moment of fuzzing, always the same cases; and those that fell out of hours of it."""

from __future__ import annotations

import random

import pytest

from tests.faults.fuzzing import TARGETS

CASES = 300


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_it_is_a_value_or_a_typed_error(name: str) -> None:
    for case in range(CASES):
        TARGETS[name](random.Random(case))
