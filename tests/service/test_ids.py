"""Ids of responses and items."""

import re

from agentkit.service.ids import position_ids, random_ids
from agentkit.service.requests import ReceivedRequest


def test_position_ids_say_where_an_item_will_stand():
    new_id = position_ids(ReceivedRequest({"input": [{}, {}, {}]}))
    assert [new_id("rs", 0), new_id("fc", 1), new_id("call", 1)] == ["rs_3", "fc_4", "call_4"]


def test_a_string_counts_as_one_item():
    assert position_ids(ReceivedRequest({"input": "hi"}))("msg", 0) == "msg_1"


def test_random_ids_look_like_sambanovas_and_differ():
    new_id = random_ids(ReceivedRequest({}))
    assert re.fullmatch(r"call_[0-9a-f]{18}", new_id("call", 0))
    assert new_id("call", 0) != new_id("call", 0)
