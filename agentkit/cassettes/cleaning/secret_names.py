"""Which names of JSON keys, query parameters and environment variables say that a value is a secret. Pure.

Decided by words, not by parts of words: `api_key` and `apiKey` hold one, `monkey`, `max_output_tokens`,
`prompt_cache_key`, `primary_key`, `token_type` and `next_page_token` don't.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_ALWAYS = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "pw",
        "secret",
        "secrets",
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "authkey",
        "authtoken",
        "accesstoken",
    ]
)
_KEYS = frozenset(
    [
        "api",
        "access",
        "account",
        "admin",
        "app",
        "application",
        "auth",
        "client",
        "consumer",
        "deploy",
        "encryption",
        "hmac",
        "license",
        "master",
        "private",
        "secret",
        "server",
        "service",
        "session",
        "shared",
        "signing",
        "ssh",
        "storage",
        "subscription",
        "write",
    ]
)
"""What a key is called that opens something."""
_NO_TOKENS = frozenset(
    [
        "bos",
        "cancellation",
        "continuation",
        "continue",
        "cursor",
        "eos",
        "first",
        "last",
        "mask",
        "next",
        "pad",
        "page",
        "pagination",
        "previous",
        "prev",
        "resume",
        "special",
        "start",
        "stop",
        "sync",
        "unk",
    ]
)
"""Tokens that open nothing: of texts and of pages."""
_IN_QUERIES = frozenset({"key", "sig", "signature"})


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether what is called so is a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    last, before = words[-1], words[:-1]
    if last in _ALWAYS:
        return True
    if last == "token":
        return not _NO_TOKENS.intersection(before)
    return last == "key" and bool(before) and before[-1] in _KEYS


def is_secret_parameter(name: str) -> bool:
    """Tell whether a query parameter of that name holds a secret."""
    return name.lower() in _IN_QUERIES or is_secret_name(name)


def is_secret_variable(name: str) -> bool:
    """Tell whether an environment variable of that name holds a secret: any variable's key or token may be one."""
    words = name.upper().split("_")
    if words[-1] == "ID":
        words.pop()  # AWS_ACCESS_KEY_ID
    if not words or "PUBLIC" in words:
        return False
    if is_secret_name(name) or words[-1].endswith("PASSWORD"):
        return True
    return not _ENDINGS.isdisjoint(words[-1:]) or not _PARTS.isdisjoint(words)


_ENDINGS = {"KEY", "KEYS", "TOKEN", "TOKENS", "PASS", "PAT", "DSN", "AUTH", "SAS"}
_PARTS = {"SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "CREDENTIALS"}
