"""The service over HTTP, on uvicorn: `serve` for a terminal, `running` for tests.

    with running(["Hello"]) as server:
        OpenAI(base_url=server.base_url, api_key="any").responses.create(model="m", input="Hi")
        assert server.requests[0]["body"]["input"] == "Hi"

Needs the extra `server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.errors import UsageError
from agentkit.service.replies import failure

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from agentkit.service.asgi import CLOSE_EXTENSION, make_app
except ImportError as exc:
    raise UsageError(
        f"the server needs {exc.name}, of the extra 'server'. In the checkout: pip install -e '.[server]'"
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from agentkit.json import JSON
    from agentkit.service.asgi import LogFormat
    from agentkit.service.loading import LoadedScript
    from agentkit.service.script import Script
    from agentkit.service.validation import Rules

__all__ = ["RunningServer", "make_app", "running", "serve"]
