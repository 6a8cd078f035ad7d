"""Frames of an event stream."""

import pytest

from agentkit.service.sse import Wire, encode_done, encode_event, split_bytes

EVENT = {"type": "response.x", "sequence_number": 3, "output_index": 0, "content_index": 1, "delta": "å"}


@pytest.mark.parametrize(
    ("wire", "frame"),
    [
        (
            Wire(),
            (
                'event: response.x\ndata: {"type":"response.x","sequence_number":3,'
                '"output_index":0,"content_index":1,"delta":"å"}\n\n'
            ),
        ),
        (
            Wire(event_lines=False),
            'data: {"type":"response.x","sequence_number":3,"output_index":0,"content_index":1,"delta":"å"}\n\n',
        ),
        (
            Wire(sequence_numbers=False, indexes=False),
            'event: response.x\ndata: {"type":"response.x","delta":"å"}\n\n',
        ),
        (
            Wire(newline="\r\n", comment="alive", indexes=False, sequence_numbers=False),
            ': alive\r\nevent: response.x\r\ndata: {"type":"response.x","delta":"å"}\r\n\r\n',
        ),
    ],
)
def test_frames(wire, frame):
    assert encode_event(EVENT, wire) == frame.encode()


def test_an_event_without_a_type_has_no_event_line():
    assert encode_event({"error": {"code": None}}, Wire()) == b'data: {"error":{"code":null}}\n\n'


def test_done():
    assert encode_done(Wire(newline="\r\n")) == b"data: [DONE]\r\n\r\n"


@pytest.mark.parametrize(("size", "chunks"), [(None, [b"abcde"]), (2, [b"ab", b"cd", b"e"]), (9, [b"abcde"])])
def test_splitting(size, chunks):
    assert list(split_bytes(b"abcde", size)) == chunks


def test_a_split_may_fall_inside_a_character():
    assert list(split_bytes("å".encode(), 1)) == [b"\xc3", b"\xa5"]
