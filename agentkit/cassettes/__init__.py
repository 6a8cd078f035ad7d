"""Recorded model traffic: what a cassette holds, how it is written, matched, played and reviewed.

`agentkit.cassette(path)` is the way in; see `docs/testing.md`. vcrpy is the engine for HTTP made by others
(`cassette(patch=True)`), and reads and writes our files with the serializer that `vcr()` registers.
"""

from __future__ import annotations

_HOMES = {
    "Cassette": "session",
    "CassetteFile": "files",
    "Recording": "interaction",
    "cassette": "session",
    "conversation_until": "review.past",
    "vcr": "format.serializer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentkit.cassettes' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"agentkit.cassettes.{home}"), name)
