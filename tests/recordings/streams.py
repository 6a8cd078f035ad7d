"""A recorded stream through the decoder and the fold, without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.fold import ResponseFold
from agentkit.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentkit.response import Response


def fold(pieces: Iterable[bytes]) -> Response | None:
    """Return the response that a stream holds; None where it ends without one."""
    decoder, folded = SSEDecoder(), ResponseFold()
    for piece in pieces:
        for event in decoder.feed(piece):
            folded.feed(event)
    for event in decoder.finish():
        folded.feed(event)
    return folded.response


def split(body: bytes, size: int, at_most: int) -> Iterable[bytes]:
    """Cut a body into pieces of `size` bytes as far as `at_most`; the rest stays whole."""
    for start in range(0, min(len(body), at_most), size):
        yield body[start : min(start + size, at_most)]
    yield body[at_most:]
