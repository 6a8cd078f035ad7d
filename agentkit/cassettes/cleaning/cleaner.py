"""What a cassette never holds is taken out on the way in, and the machine's own folders put back on the way out."""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from agentkit.cassettes.cleaning.edits import apply_edits, edit_chunks
from agentkit.cassettes.cleaning.hiding import (
    HideNamed,
    clean_uri,
    hide_form,
    hide_pairs,
    hide_values,
    kept_headers,
    secret_values,
)
from agentkit.cassettes.cleaning.scrubbing import Scrubber, Surroundings
from agentkit.cassettes.interaction import Body

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agentkit.cassettes.cleaning.scrubbing import ScrubRule
    from agentkit.cassettes.interaction import Interaction, ToolResult

_KEY_LENGTH = 8
"""Characters of the shortest key that is looked for: local servers take anything, such as `none`."""
VERSION = "2"
"""Of what is replaced in recorded requests: keys that were made otherwise are made again."""
_LOCAL = ("127.0.0.1", "localhost", "::1")
"""Hosts whose ports are drawn anew each time a test server starts."""


class Cleaner:
    """Replaces secrets, the machine's folders and what the user's rules find; the same in requests and in the file."""

    def __init__(self, rules: Sequence[ScrubRule], surroundings: Surroundings, env: Mapping[str, str]) -> None:
        self._rules, self._surroundings = rules, surroundings
        self._secrets = secret_values(env)
        self._named = HideNamed()
        self._scrubber = self._make_scrubber()
        self._user = Scrubber(rules) if rules else None
        self.is_constant = not any(callable(rule) for rule in rules)
        """Whether the same text always gives the same text, in other processes too."""
        self.fingerprint = hashlib.sha256("\n".join([VERSION, *map(_described, rules)]).encode()).hexdigest()[:16]
        """Equal for rules that do the same to what a file holds."""

    @classmethod
    def here(cls, rules: Sequence[ScrubRule], places: Mapping[str, str]) -> Cleaner:
        """Make one for this process: its folders, and the secrets in its environment."""
        return cls(rules, Surroundings.here(places), os.environ)

    @property
    def seen(self) -> Collection[str]:
        """Values of keys named like secrets, which may not stand elsewhere either."""
        return self._named.seen

    def _make_scrubber(self) -> Scrubber:
        hide = (hide_values(self._secrets), self._named, hide_pairs)
        return Scrubber(self._rules, self._surroundings, hide=hide)

    def hide(self, keys: Iterable[str]) -> bool:
        """Take keys out that a client was given, and tell whether there are new ones among them."""
        known = set(self._secrets.values())
        new = [key for key in keys if len(key) >= _KEY_LENGTH and key not in known]
        if new:
            numbers = itertools.count(1)
            names = (name for n in numbers if (name := f"API_KEY_{n}" if n > 1 else "API_KEY") not in self._secrets)
            self._secrets |= dict(zip(names, new, strict=False))
            self._scrubber = self._make_scrubber()
        return bool(new)

    def body(self, raw: bytes) -> bytes:
        """Return what a cassette holds of a request's bytes, or of what one adds to another."""
        # forms are bodies: a text such as "key=Gmajor&tempo=120" is none
        return self._scrubber.scrub(apply_edits(raw, hide_form(raw)))

    def recorded_body(self, recorded: bytes) -> bytes:
        """Return a recorded request's bytes under the user's rules of today; the others were applied when recording.

        But for what other tools recorded: there, something else may stand for a secret.
        """
        for find in (HideNamed(), hide_pairs, hide_form):
            recorded = apply_edits(recorded, find(recorded))
        return recorded if self._user is None else self._user.scrub(recorded)

    def recorded(self, recorded: Body) -> Body:
        """Return a recorded request under the user's rules of today."""
        whole = bytes(recorded)
        clean = self.recorded_body(whole)
        return recorded if clean == whole else Body(clean)

    def text(self, text: str) -> str:
        """Return what a cassette holds of a text."""
        return self._scrubber.scrub_text(text)

    def uri(self, uri: str) -> str:
        """Return what a cassette holds of a URI: no secrets, and no port of a server on this machine."""
        parts = urlsplit(self.text(clean_uri(uri)))
        if parts.hostname in _LOCAL and parts.port is not None:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            parts = parts._replace(netloc=host)
        return urlunsplit(parts)

    def headers(self, headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Return the headers of an answer that a cassette keeps."""
        return tuple((name, self.text(value)) for name, value in kept_headers(headers))

    def answer(self, chunks: Sequence[bytes], at_ms: Sequence[int]) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
        """Return what a cassette holds of an answer's chunks, and their times; one that is left empty is dropped."""
        clean = self._scrubber.scrub_chunks(edit_chunks(tuple(chunks), [hide_form]))
        times = at_ms if len(at_ms) == len(clean) else [0] * len(clean)
        kept = [(chunk, time) for chunk, time in zip(clean, times, strict=True) if chunk]
        return tuple(chunk for chunk, _ in kept), tuple(time for _, time in kept) if at_ms else ()

    def scrubbed(self, interaction: Interaction) -> Interaction:
        """Return an interaction with what these rules find replaced."""
        chunks, at_ms = self.answer(interaction.chunks, interaction.at_ms)
        return replace(interaction, body=Body(self.body(bytes(interaction.body))), chunks=chunks, at_ms=at_ms)

    def scrubbed_result(self, result: ToolResult) -> ToolResult:
        """Return what a call gave with what these rules find replaced."""
        return replace(result, output=self.text(result.output), full=result.full and self.text(result.full))

    def restored(self, interaction: Interaction) -> Interaction:
        """Return an interaction whose answer has this machine's folders in place of their placeholders."""
        chunks = self._scrubber.restore_chunks(interaction.chunks)
        return interaction if chunks is interaction.chunks else replace(interaction, chunks=chunks)

    def restored_json(self, data: bytes) -> bytes:
        """Return JSON with this machine's folders in place of their placeholders."""
        return self._scrubber.restore(data)


def _described(rule: object) -> str:
    if isinstance(rule, tuple):
        return repr([_described(rule[0]), rule[1]])
    pattern: re.Pattern[str] | str | object = getattr(rule, "pattern", rule)
    return repr((pattern, getattr(rule, "flags", 0)))
