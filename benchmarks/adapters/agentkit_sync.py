"""agentkit with plain functions as tools, which run in threads."""

from __future__ import annotations

from benchmarks.adapters import agentkit


class Adapter(agentkit.Adapter):
    """As with async tools."""

    is_async = False
