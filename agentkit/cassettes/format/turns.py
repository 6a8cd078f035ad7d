"""An interaction as the lines of a cassette, and back.

A body is stored as values only where they give the same bytes again: each part is read back as it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from agentkit.cassettes.format import bodies, growth, streams
from agentkit.cassettes.format.document import Spot, WrongError, read
from agentkit.cassettes.format.echoes import Echoes
from agentkit.cassettes.format.growth import Base, Join
from agentkit.cassettes.format.layout import Row, mapping_lines
from agentkit.cassettes.interaction import Body, Failure, Interaction, ToolResult
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentkit.entries import Outcome

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]
Answer = tuple[int | None, Headers, tuple[bytes, ...], tuple[int, ...]]
"""Status, headers, chunks, and the time of each chunk."""

_RETRY = Failure("").retry
TURN = ("turn", "lane", "request", "response", "error", "tool_results")
REQUEST = ("continues", "method", "uri", *growth.KEYS, *bodies.KEYS)
RESPONSE = ("status", "headers", *streams.KEYS, *bodies.KEYS, "chunks", "at_ms")
OUTCOMES = ("ok", "error", "timeout", "cancelled", "not_run")


def request_lines(interaction: Interaction, parent: Base | None) -> tuple[list[str], Join | None]:
    """Return the lines of a request in the first form that reads back as it was, and how items are added to it."""
    common: dict[str, object] = {}
    if parent is None or parent.interaction.method != interaction.method:
        common["method"] = interaction.method
    if parent is None or parent.interaction.uri != interaction.uri:
        common["uri"] = interaction.uri
    for form, join in _request_forms(interaction.body, parent):
        lines = mapping_lines({**common, **form}, 4)
        back = _read_back(lines, lambda spot: _read_request(spot, parent))
        if back is not None:
            method, uri, body, _ = back
            if (method, uri) == (interaction.method, interaction.uri) and _same(body, interaction.body):
                return lines, join
    raise CassetteError(f"a request to {interaction.uri[:80]!r} can't be written. Report it with the recording.")


def _request_forms(body: Body, parent: Base | None) -> Iterator[tuple[dict[str, object], Join | None]]:
    if parent is not None:
        yield from growth.added_form(parent, body)
    if not body.size and parent is None:
        yield {}, None
        return
    data = bytes(body)
    for form in bodies.json_form(data):
        yield form, None
    for form in bodies.raw_forms(data):
        yield form, None


def _same(body: Body, other: Body) -> bool:
    if body.parent is other.parent and body.kept == other.kept:
        return body.tail == other.tail
    return body == other


def response_lines(interaction: Interaction, parent: Base | None) -> list[str]:
    """Return the lines of an answer in the first form that reads back as it was; none where no answer began."""
    if interaction.status is None and not interaction.chunks and not interaction.headers:
        return []
    common: dict[str, object] = {} if interaction.status is None else {"status": interaction.status}
    if interaction.headers:
        common["headers"] = _headers_form(interaction.headers)
    times: dict[str, object] = {"at_ms": Row(interaction.at_ms)} if interaction.at_ms else {}
    wanted = interaction.status, interaction.headers, interaction.chunks, interaction.at_ms
    for form in _response_forms(interaction.chunks, parent):
        lines = mapping_lines({**common, **form, **times}, 4) or ["    status: null"]
        if _read_back(lines, lambda spot: _read_response(spot, parent)) == wanted:
            return ["  response:", *lines]
    raise CassetteError(
        f"an answer of {interaction.uri[:80]!r} can't be written: {len(interaction.at_ms)} times for "
        f"{len(interaction.chunks)} chunks, or an empty chunk. Give a time for each, and chunks of a byte or more."
    )


def _response_forms(chunks: tuple[bytes, ...], parent: Base | None) -> Iterator[dict[str, object]]:
    data = b"".join(chunks)
    sizes = [len(chunk) for chunk in chunks]
    for form, ends in streams.stream_form(data, _echoes(parent)):
        usual = sizes == _steps(ends)
        yield form if usual else {**form, "chunks": streams.chunk_form(sizes, ends)}
    split = {"chunks": streams.counted(sizes)} if len(sizes) > 1 else {}
    if not data:
        yield {}
        return
    for form in bodies.json_form(data, _echoes(parent)):
        yield {**form, **split}
    for form in bodies.raw_forms(data):
        yield {**form, **split}


def _echoes(parent: Base | None) -> Echoes:
    return Echoes(lambda: None if parent is None else parent.opening)


def _steps(ends: Sequence[int]) -> list[int]:
    return [end - start for start, end in zip((0, *ends), ends, strict=False)]


def _headers_form(headers: tuple[tuple[str, str], ...]) -> object:
    """Return headers as a mapping; as pairs where a name comes twice."""
    named = dict(headers)
    return named if len(named) == len(headers) else [list(pair) for pair in headers]


def rest_form(interaction: Interaction) -> dict[str, object]:
    form: dict[str, object] = {}
    if interaction.failure is not None:
        failure = interaction.failure
        message = {"message": failure.message} if failure.message else {}
        retry = {"retry": failure.retry} if failure.retry != _RETRY else {}
        form["error"] = {"type": failure.kind, **message, **retry}
    if interaction.tool_results:
        form["tool_results"] = [_result_form(result) for result in interaction.tool_results]
    return form


def _result_form(result: ToolResult) -> dict[str, object]:
    form: dict[str, object] = {"call_id": result.call_id, "output": result.output}
    if result.outcome != "ok":
        form["outcome"] = result.outcome
    if result.full is not None:
        form["full"] = result.full
    return form


def _read_back(lines: list[str], part: Callable[[Spot], T]) -> T | None:
    try:
        return part(Spot(read("\n".join(lines) + "\n") or {}))
    except WrongError:
        return None


def read_interaction(spot: Spot, places: dict[int, int], bases: list[Base]) -> Base:
    request = spot.member("request")
    given = request.mapping("a request", REQUEST)
    parent: int | None = None
    if "continues" in given:
        parent = _earlier(request.member("continues"), places)
    method, uri, body, join = _read_request(request, None if parent is None else bases[parent])
    answer: Answer = (None, (), (), ())
    if "response" in cast("dict[str, object]", spot.value):
        answer = _read_response(spot.member("response"), None if parent is None else bases[parent])
    status, headers, chunks, at_ms = answer
    interaction = Interaction(
        method=method,
        uri=uri,
        body=body,
        status=status,
        headers=headers,
        chunks=chunks,
        failure=_read_failure(spot.member("error")),
        parent=parent,
        lane=spot.member("lane", "").text(),
        at_ms=at_ms,
        tool_results=tuple(_read_result(each) for each in spot.member("tool_results", []).members("a list of results")),
    )
    return Base(interaction, join, known=join is not None)


def _earlier(spot: Spot, places: dict[int, int]) -> int:
    if type(spot.value) is not int or spot.value not in places:
        turns = list(places)
        spot.wrong(f"an earlier turn, {turns[0]} to {turns[-1]}" if turns else "no such key in the first interaction")
    return places[spot.value]


def _read_request(spot: Spot, parent: Base | None) -> tuple[str, str, Body, Join | None]:
    given = spot.mapping("a request", REQUEST)
    for key in ("method", "uri") if parent is None else ():
        if key not in given:
            spot.fail(f"found no {key}; allowed is a {key}, or the turn that the request continues")
    method = spot.member("method", parent.interaction.method if parent else None).text()
    uri = spot.member("uri", parent.interaction.uri if parent else None).uri()
    whole = [key for key in bodies.KEYS if key in given]
    grown = [key for key in growth.KEYS if key in given]
    if whole and grown:
        spot.fail(f"found {whole[0]} and {grown[0]}; allowed is a whole body, or what it adds to an earlier one")
    if parent is None and grown:
        spot.fail(f"found {grown[0]} without the turn that the request continues")
    if parent is None or whole:
        return method, uri, Body(bodies.read_body(spot)), None
    return (method, uri, *growth.read_added(spot, parent))


def _read_response(spot: Spot, parent: Base | None) -> Answer:
    given = spot.mapping("a response", RESPONSE)
    status = spot.member("status")
    code = None if status.value is None else status.integer(100, 999)
    headers = _read_headers(spot.member("headers", {}))
    whole = [key for key in ("json", "text", "base64") if key in given]
    if "events" in given and whole:
        spot.fail(f"found events and {whole[0]}; allowed is one of them")
    if "events" in given:
        data, ends = streams.read_stream(spot, _echoes(parent))
        sizes = streams.read_chunks(spot.member("chunks"), ends) if "chunks" in given else _steps(ends)
    else:
        data = bodies.read_body(spot, _echoes(parent))
        sizes = _read_sizes(spot.member("chunks"), len(data)) if "chunks" in given else [len(data)] if data else []
    chunks: list[bytes] = []
    place = 0
    for size in sizes:
        chunks.append(data[place : place + size])
        place += size
    return code, headers, tuple(chunks), _read_times(spot.member("at_ms", []), len(chunks))


def _read_sizes(spot: Spot, size: int) -> list[int]:
    """Return the sizes in bytes that `counted` wrote; they make up the body."""
    sizes: list[int] = []
    for entry in spot.members("a list of numbers of bytes"):
        length, times = streams.parsed_count(entry, size)
        sizes.extend([length] * times)
        if sum(sizes[-times:]) > size:
            break
    if sum(sizes) != size:
        spot.fail(f"found chunks of {sum(sizes)} bytes or more; the body has {size}")
    return sizes


def _read_headers(spot: Spot) -> Headers:
    if isinstance(spot.value, list):
        pairs = [each.members("a name and a value") for each in spot.members("headers")]
        for pair, each in zip(pairs, spot.members("headers"), strict=True):
            if len(pair) != 2:
                each.wrong("a name and a value")
        return tuple((name.text(), value.text()) for name, value in pairs)
    return tuple((name, spot.member(name).text()) for name in spot.mapping("the headers"))


def _read_times(spot: Spot, chunks: int) -> tuple[int, ...]:
    times = tuple(each.integer(0) for each in spot.members("a list of milliseconds"))
    if times and len(times) != chunks:
        spot.fail(f"found {len(times)} times; allowed is one for each of the {chunks} chunks")
    return times


def _read_failure(spot: Spot) -> Failure | None:
    if spot.value is None:
        return None
    spot.mapping("an error", ("type", "message", "retry"))
    kind = spot.member("type").text("the name of an error of httpx")
    return Failure(kind, spot.member("message", "").text(), spot.member("retry", _RETRY).text())


def _read_result(spot: Spot) -> ToolResult:
    spot.mapping("a tool result", ("call_id", "output", "outcome", "full"))
    outcome = spot.member("outcome", "ok")
    if outcome.value not in OUTCOMES:
        outcome.wrong(", ".join(OUTCOMES))
    full = spot.member("full")
    return ToolResult(
        spot.member("call_id").text(),
        spot.member("output").text(),
        cast("Outcome", outcome.value),
        None if full.value is None else full.text(),
    )
