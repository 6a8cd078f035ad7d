"""When a service misbehaves: by header, and by chance."""

import asyncio
import contextlib
import re

import pytest

from agentkit import UsageError, json
from agentkit.service.app import ConnectionCut, Service
from agentkit.service.faults import FAULTS, UnknownFault
from agentkit.service.misbehaviour import Drawn, Misbehaviour, read_header
from agentkit.service.requests import ReceivedRequest


def request(number=0, *, stream=False, fault=None):
    body = {"model": "m", "input": f"hi {number}", "stream": stream}
    return ReceivedRequest(body, raw=json.encode(body), headers={"x-agentkit-fault": fault} if fault else {})


def names(misbehaviour, count, **options):
    return [",".join(each.name for each in misbehaviour.draw(request(n, **options))) for n in range(count)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("queue_full", [(Drawn("queue_full", {}), None)]),
        (" queue_full ; times=2 ", [(Drawn("queue_full", {}), 2)]),
        ("rate_limited; retry_after_s=0.5", [(Drawn("rate_limited", {"retry_after_s": 0.5}), None)]),
        ("failed; message=out of luck; code=7", [(Drawn("failed", {"message": "out of luck", "code": "7"}), None)]),
        ("reasoning_first, no_indexes", [(Drawn("reasoning_first", {}), None), (Drawn("no_indexes", {}), None)]),
    ],
)
def test_the_header(header, expected):
    assert read_header(header) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("rate_limted", "there is no fault 'rate_limted'. Did you mean 'rate_limited'"),
        ("", "there is no fault ''."),
        ("queue_full; retry_after_s=1", "fault 'queue_full' takes no parameters, not 'retry_after_s'."),
        ("slow; delay=1", "fault 'slow' takes delay_s, tokens_per_s, not 'delay'."),
        ("slow; delay_s=soon", "fault 'slow': delay_s is a number of at least 0, not 'soon'."),
        ("slow; delay_s=-1", "fault 'slow': delay_s is a number of at least 0, not -1."),
        ("slow; tokens_per_s=0", "fault 'slow': tokens_per_s is above 0."),
        ("slow; fast", "fault 'slow': 'fast' isn't of the form parameter=value."),
        ("slow; times=0", "fault 'slow': times is a whole number of at least 1, not 0."),
    ],
)
def test_a_header_that_is_wrong(header, message):
    with pytest.raises(UnknownFault, match=re.escape(message)):
        read_header(header)


def test_times_counts_equal_requests():
    misbehaviour = Misbehaviour()
    assert [bool(misbehaviour.draw(request(n, fault="queue_full; times=2"))) for n in (1, 1, 2, 1, 2, 2)] == [
        True, True, True, False, True, False,
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_faults():
    first = names(Misbehaviour(rate=0.3, seed=7), 200)
    assert first == names(Misbehaviour(rate=0.3, seed=7), 200)
    assert first != names(Misbehaviour(rate=0.3, seed=8), 200)
    assert 40 <= sum(map(bool, first)) <= 80


def test_the_rate_bounds():
    assert set(names(Misbehaviour(rate=0), 50)) == {""}
    assert "" not in names(Misbehaviour(rate=1), 50)


def test_faults_of_streams_are_for_streams():
    drawn = set(names(Misbehaviour(rate=1, faults=["transient"]), 300))
    assert drawn == {n for n, f in FAULTS.items() if f.kind == "transient" and f.affects != "streams"}
    assert set(names(Misbehaviour(rate=1), 300, stream=True)) == {n for n, f in FAULTS.items() if f.kind == "transient"}
    assert set(names(Misbehaviour(rate=1, faults=["cut_after_first_delta"]), 5)) == {""}


def test_kinds_and_names_mix():
    drawn = set(names(Misbehaviour(rate=1, faults=["model", "slow"]), 100))
    assert drawn == {"malformed_arguments", "unknown_tool", "slow"}


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match=r"no fault 'transent'.* Kinds, .* are: transient, final, form, model\."):
        Misbehaviour(faults=["transent"])


@pytest.mark.parametrize("name", [n for n, f in FAULTS.items() if f.kind == "transient"])
def test_a_reply_that_was_lost_is_given_to_who_asks_again(name):
    """A list of replies isn't used up by answers that never arrived."""
    service = Service(["One", "Two"], misbehaviour=Misbehaviour())

    async def ask(fault):
        body = {"model": "m", "input": "hi", "stream": True}
        answer = await service.handle(
            "POST", "/responses", {"x-agentkit-fault": fault} if fault else {}, json.encode(body)
        )
        if isinstance(answer.body, bytes):
            return answer.body
        return b"".join([chunk async for chunk in answer.body])

    async def main():
        with contextlib.suppress(ConnectionCut):
            await ask(name)
        assert b'"text":"One"' in await ask(None)
        assert b'"text":"Two"' in await ask(None)

    asyncio.run(main())


def test_a_header_counts_for_nothing_where_nobody_misbehaves():
    answer = asyncio.run(
        Service(["Hi"]).handle("POST", "/responses", {"x-agentkit-fault": "queue_full"}, b'{"model":"m","input":"hi"}')
    )
    assert answer.status == 200
