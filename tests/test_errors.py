"""The error tree as values: copied, pickled, sent between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

import agentkit.client
import agentkit.meter  # noqa: F401  (both bring errors of their own along)
from agentkit.errors import AgentkitError, Incomplete, RateLimited, StatusError
from agentkit.retry import Attempt


def tree(kind: type[AgentkitError]) -> list[type[AgentkitError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


HOMES = ("agentkit.errors", "agentkit.client", "agentkit.meter")
CORE = [kind for kind in tree(AgentkitError) if kind.__module__ in HOMES]  # other modules' make their own messages


def make(kind: type[AgentkitError]) -> AgentkitError:
    return kind("no", status=429) if issubclass(kind, StatusError) else kind("no")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("kind", CORE, ids=lambda kind: kind.__name__)
def test_every_error_can_be_copied_and_pickled(kind, again):
    error = make(kind)
    error.mark = "x"
    copied = again(error)
    assert type(copied) is kind
    assert copied is not error
    assert str(copied) == "no"
    assert vars(copied) == vars(error)


def test_what_an_error_carries_goes_along():
    error = RateLimited("no", status=429, code="slow", retry_after_s=2.5, request_id="r")
    error.attempts = (Attempt(1, error, 0.1, None),)
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.status, copied.code, copied.retry_after_s, copied.request_id) == (429, "slow", 2.5, "r")
    assert copied.attempts[0].error is copied
    assert copy.copy(Incomplete("cut", reason="max_output_tokens")).reason == "max_output_tokens"
