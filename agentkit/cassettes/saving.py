"""From a session to a file: what becomes the cassette, what waits for review, and what is the same as before."""

from __future__ import annotations

import contextlib
import datetime
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.cleaning.literals import any_in, escaped_forms
from agentkit.cassettes.cleaning.secrets import find_secrets, find_secrets_in, find_values_in
from agentkit.cassettes.cleaning.spelled import spelled_texts
from agentkit.cassettes.files import read, read_text, write_text
from agentkit.cassettes.format import document, form
from agentkit.cassettes.format.ids import normalise
from agentkit.cassettes.interaction import Body, Head, Interaction, Recording
from agentkit.cassettes.review.splicing import added_to, without
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from agentkit.cassettes.cleaning.secrets import Finding
    from agentkit.cassettes.files import CassetteFile
    from agentkit.cassettes.interaction import ToolResult
    from agentkit.cassettes.store import Store
    from agentkit.cassettes.terms import Terms
    from agentkit.cassettes.tracks import Entry

_log = logging.getLogger("agentkit")
_TOTAL = re.compile(rb'"total_tokens"\s*:\s*(\d+)')


def read_if_there(path: Path) -> Recording | None:
    """Return what a file of a cassette holds, or None where there is none. Raises `CassetteError`."""
    return read(path) if path.exists() else None


def read_what_can_be(path: Path) -> Recording | None:
    """Return what a file holds that is about to be replaced; None where there is none, or it can't be read."""
    try:
        return read_if_there(path)
    except CassetteError as exc:
        _log.warning("it is recorded anew, and nothing of it is kept: %s", exc)
        return None


def write_result(
    file: CassetteFile, recording: Recording, before: Recording | None, terms: Terms, *, propose: bool, is_new: bool
) -> bool:
    """Make a recording the cassette, or put it beside the accepted one to be reviewed; tell whether it is another one.

    What is the same as before keeps its lines. `is_new`: it has answers of its own, so that what waits for review is
    outdated. Raises `CassetteError`; then nothing has changed on the disk.
    """
    __tracebackhide__ = True  # of pytest: it would show the text, secrets and all
    path = file.pending if propose else file.path
    text = form.dump(recording if before is None else carried_over(recording, before))
    check_secrets(text, path, _remedy_for_secrets(terms), terms.cleaner.seen)
    if before is not None and text in (read_text(file.path), form.dump(before)):  # what people add to it stays
        if is_new:
            drop_pending(file)
        return False
    try:
        write_text(path, text)
    except OSError as exc:
        raise CassetteError(f"{path}: can't be written: {exc.strerror or exc}. Check the folder.") from exc
    if not propose:
        drop_pending(file)
    return True


def drop_pending(file: CassetteFile) -> None:
    """Remove what waited for review: it is superseded."""
    with contextlib.suppress(FileNotFoundError):
        file.pending.unlink()


def check_secrets(text: str, path: Path, remedy: str, seen: Collection[str] = ()) -> None:
    """Refuse text that holds a secret, or one of `seen`. Raises `CassetteError`, which never tells the value."""
    __tracebackhide__ = True
    findings = [*secrets_of(text), *(find_values_in(document.read(text), seen) if seen else ())]
    if findings:
        listed = "; ".join(map(str, findings[:5]))
        more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
        raise CassetteError(
            f"{path}: not written, since it would hold what looks like a secret: {listed}{more}. {remedy}"
        )


def _remedy_for_secrets(terms: Terms) -> str:
    """Return what to do about a secret: code can save what is in memory; what a command made ends with it."""
    if terms.rerun is None:
        return (
            "Nothing is lost: the recording is in memory. Have it replaced: cassette.save(scrub=[...]), and give "
            "scrub=[...] from now on."
        )
    return (
        f"Have it replaced: {terms.scrubbing}, a regular expression that finds it; then "
        f"{terms.command(terms.mode)}. The exchanges without it are kept, and are not asked again."
    )


def secrets_of(text: str) -> list[Finding]:
    """Return the secrets in the text of a cassette, by path where they are in a value.

    Each value is looked at by itself only where all of them together hold something: that takes twenty times as long.
    """
    value = document.read(text)
    in_lines = find_secrets(text)
    if in_lines or find_secrets("\n".join(_texts(value))):
        return find_secrets_in(value) or in_lines
    return []


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value, and those that lists of texts spell out, as deltas do."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        if len(value) > 1 and all(isinstance(member, str) for member in value):
            yield "".join(value)
        for member in value:
            yield from _texts(member)


def holds_secret(interaction: Interaction, asked: bytes, seen: Collection[str]) -> bool:
    """Tell whether an exchange may not be written down, not even for the time being.

    `asked` is what is written of its request: all of it, or what it adds to one that was written before; `seen` are
    values that are secret by the name of their key.
    """
    pieces = [asked, interaction.answer, *spelled_texts(interaction.answer)]
    return any(is_secret(piece, seen) for piece in pieces) or any(
        result_holds_secret(result, seen) for result in interaction.tool_results
    )


def result_holds_secret(result: ToolResult, seen: Collection[str]) -> bool:
    """Tell whether what a call gave may not be written down, cut or uncut."""
    texts = (result.output, result.full or "")
    return any(is_secret(text.encode(errors="surrogatepass"), seen) for text in texts)


def is_secret(piece: bytes, seen: Collection[str]) -> bool:
    """Tell whether a piece of an exchange holds a secret, or one of these values."""
    forms = [form for value in tuple(seen) for form in escaped_forms(value)]
    return bool(find_secrets(piece)) or any_in(forms, piece) or _find_inside(piece)


def without_secrets(recording: Recording, seen: Collection[str]) -> Recording:
    """Return what of a recording may be written down."""
    turns = {turn for turn, made in enumerate(recording, 1) if holds_secret(made, bytes(made.body), seen)}
    return without(recording, turns) if turns else recording


def _find_inside(piece: bytes) -> bool:
    """Tell whether the texts that JSON holds have a secret: escaped several times, none is seen from outside."""
    if b"\\\\" not in piece:
        return False
    for text in (piece, b"[0" + piece[:-1], *re.findall(rb"(?m)^data: ?(.*)$", piece)):
        with contextlib.suppress(json.JSONError):
            if find_secrets("\n".join(_texts(json.decode(text)))):
                return True
    return False


def today() -> str:
    """Return the day, for a cassette's head."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def tokens_of(interactions: Iterable[Interaction]) -> int:
    """Return the tokens that answers report, together."""
    total = 0
    for interaction in interactions:
        if counts := _TOTAL.findall(interaction.answer):
            total += int(counts[-1])
    return total


def assembled(entries: Sequence[Entry], store: Store, head: Head) -> Recording:
    """Return the exchanges of a session as a recording, in the order of their requests."""
    indices: dict[int, int] = {}
    parents_with_children = {entry.parent.number for entry in entries if entry.parent is not None}
    interactions: list[Interaction] = []
    for entry in entries:
        made = store.interaction(entry.index) if entry.index is not None else entry.interaction
        if made is None:
            continue  # it was cancelled before an answer began
        parent = indices.get(entry.parent.number) if entry.parent is not None else None
        results = made.tool_results if entry.index is not None else [entry.results[i] for i in sorted(entry.results)]
        is_answered = entry.number in parents_with_children
        kept = tuple(r for r in results if not is_answered or r.outcome != "ok" or r.full is not None)
        body = made.body if parent is None else _grown_from(interactions[parent].body, made.body, entry.clean)
        made = replace(made, tool_results=kept, body=body)
        indices[entry.number] = len(interactions)
        interactions.append(replace(made, parent=parent))
    return normalise(Recording(head, tuple(interactions)))


def _grown_from(parent: Body, body: Body, clean: Body) -> Body:
    """Return a body as what it adds to its parent's, where that is what a file will hold of it.

    One that was recorded behind another parent has the ids of that one: `clean`, as it was sent now, has this one's.
    """
    if body.parent is None or body.parent is parent:
        return body
    if body.parent.size == parent.size and bytes(body.parent) == bytes(parent):
        return Body(body.tail, parent, body.kept)
    return added_to(parent, clean)


def carried_over(recording: Recording, before: Recording) -> Recording:
    """Return a recording in which what is the same as before is written as before: chunks, times, and the day.

    How an answer was cut into chunks depends on the moment: where the same was answered, that is no change.
    """
    waiting: dict[object, list[Interaction]] = {}
    for old in before:
        waiting.setdefault(_answer_of(old), []).append(old)
    interactions = tuple(
        replace(new, chunks=(old := matches.pop(0)).chunks, at_ms=old.at_ms, uri=old.uri)
        if (matches := waiting.get(_answer_of(new)))
        else new
        for new in recording
    )
    head = recording.head
    if list(map(_content_of, interactions)) == list(map(_content_of, before)):
        head = replace(head, recorded=before.head.recorded, server=before.head.server)
    return Recording(replace(head, extra={**before.head.extra, **head.extra}), interactions)


def _answer_of(interaction: Interaction) -> object:
    return interaction.method, interaction.status, interaction.headers, interaction.answer, interaction.failure


def _content_of(interaction: Interaction) -> object:
    """Return what of an interaction is the same when it is recorded again."""
    return _answer_of(interaction), bytes(interaction.body), interaction.lane, interaction.tool_results
