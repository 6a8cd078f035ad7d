"""What is said of a request that isn't in the cassette: how it differs from the nearest one, and the way out of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from agentkit.cassettes.cleaning.secrets import mask_secrets
from agentkit.cassettes.files import CassetteFile
from agentkit.cassettes.matching.closest import Recorded
from agentkit.cassettes.matching.mismatch import advice, report
from agentkit.cassettes.matching.rules import useless_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.cassettes.interaction import Interaction
    from agentkit.cassettes.review.usage import Played
    from agentkit.cassettes.store import Store
    from agentkit.cassettes.terms import Terms
    from agentkit.cassettes.tracks import Asked


_VARIABLE = re.compile(rb"<([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)>")


def describe_miss(terms: Terms, store: Store, asked: Asked) -> str:
    """Return the report on a request that the cassette doesn't hold."""
    recorded = [
        Recorded(index + 1, made.method, made.uri, terms.cleaner.recorded(made.body), played=store.is_played(index))
        for index in range(len(store))
        if (made := store.interaction(index))
    ]
    found = report(
        asked.method,
        terms.cleaner.uri(asked.uri),
        mask_secrets(bytes(asked.clean)),
        recorded,
        name=str(terms.path),
        rules=terms.rules,
        remedies=_remedies(terms),
    )
    note = f"\n  {terms.rerun.note}" if terms.rerun is not None and terms.rerun.note else ""
    return found.text + note + _unset_variables(found.text, recorded) + _without_effect(terms, asked, recorded)


def _without_effect(terms: Terms, asked: Asked, recorded: Sequence[Recorded]) -> str:
    """Tell of fields to ignore that none of the requests has: mistyped, most likely."""
    useless = useless_paths(terms.rules, [bytes(asked.clean), *(bytes(each.body) for each in recorded)])
    return f"\n  ignore={useless!r} finds nothing in any of these requests." if useless else ""


def _unset_variables(said: str, recorded: Sequence[Recorded]) -> str:
    """Tell of placeholders in a report that stand for variables of the environment which aren't set here."""
    kept = {name.decode() for each in recorded for name in _VARIABLE.findall(each.body.tail)}
    names = sorted(name for name in kept if name in said and name not in os.environ)
    if not names:
        return ""
    listed = ", ".join(f"<{name}>" for name in names)
    return f"\n  {listed}: a secret of the environment where it was recorded; the variable isn't set here."


def describe_drift(terms: Terms, recorded: Interaction, method: str, uri: str, body: bytes) -> str:
    """Return how a live request differs from the recorded one whose turn it is."""
    body = mask_secrets(body)
    nearest = Recorded(1, recorded.method, recorded.uri, terms.cleaner.recorded(recorded.body))
    said = report(method, uri, body, [nearest], name="", rules=terms.rules).text
    return " ".join(line.strip() for line in said.splitlines()[1:]) or said.removeprefix(": ")


def describe_unused(terms: Terms, played: Played) -> str:
    """Return what is said of turns that were recorded and not played."""
    remedies = [
        ("the change is wanted", f"{terms.command('extend')}   (leaves them out; review the result)"),
        ("record it anew", terms.command("rewrite")),
        ("it is a bug", "mend the code; the recording is unchanged"),
    ]
    said = f"{terms.path}: {played.say_unused()}. The test asks less than was recorded."
    return "\n".join([said, *advice(remedies)])


def _remedies(terms: Terms) -> list[tuple[str, str]]:
    pending = CassetteFile(terms.path).pending
    wanted = (
        f"agentkit cassettes review {terms.path}   ({pending.name} waits, and isn't played before it is accepted)"
        if pending.exists()
        else f"{terms.command('extend')}   (plays what is the same, asks the model from there on)"
    )
    return [
        ("the change is wanted", wanted),
        ("it differs on each run", f"{terms.scrubbing} or {terms.ignoring}; tools: ctx.now(), ctx.random, ctx.uuid()"),
        ("it is a bug", "mend the code; the recording is unchanged"),
    ]
