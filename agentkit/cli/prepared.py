"""Who is asked, and where: an agent and its server, as the file, the options and the environment have them."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentkit.cli.loading import load_agent
from agentkit.client import Client

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.cli.loading import Loaded
    from agentkit.limits import Limits


@dataclass(frozen=True, slots=True)
class Prepared:
    """An agent, ready to be run."""

    agent: Agent[object]
    client: Client | None
    """None: the agent finds the one of the environment by itself."""
    limits: Limits | None
    loaded: Loaded


def prepare(target: str, *, model: str | None, base_url: str | None, max_turns: int | None) -> Prepared:
    """Load the agent that `FILE[:AGENT]` names, with the options over it. Raises UsageError."""
    loaded = load_agent(target)
    model = model or (os.environ.get("AGENTKIT_MODEL") if _is_live() else None)
    agent = loaded.agent.replace(model=model) if model else loaded.agent
    limits = None if max_turns is None else dataclasses.replace(agent.limits, turns=max_turns)
    return Prepared(agent, _find_client(agent, loaded, base_url), limits, loaded)


def is_scripted(client: Client) -> bool:
    """Tell whether a client asks a scripted model."""
    return urlsplit(client.base_url).hostname == "scripted.test"  # where ScriptedModel.client() points


def _find_client(agent: Agent[object], loaded: Loaded, url: str | None) -> Client | None:
    if url is not None:
        # the key of another provider must not go to an address typed by hand
        return Client(url, os.environ.get("AGENTKIT_API_KEY"))
    client = agent.client or loaded.client()
    return Client.from_env() if client is not None and _is_live() and is_scripted(client) else client


def _is_live() -> bool:
    return os.environ.get("AGENTKIT_LIVE") == "1"
