"""Where a server is: a URL, checked and taken apart.

Addresses of the usual kind are read here; httpx is asked about all others (IPv6, other alphabets, escapes, ports that
are none), and imported for them alone: importing it takes longer than importing agentkit.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from agentkit.errors import UsageError

if TYPE_CHECKING:
    import httpx

_LABEL = "[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_USUAL = re.compile(
    rf"(https?)://({_LABEL}(?:\.{_LABEL})*|127\.0\.0\.1)(?::([1-9][0-9]{{0,4}}))?((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?)"
)
_HOST = re.compile(r"[A-Za-z0-9._~-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._~%-]+)?")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL of a server."""

    scheme: str
    """`http` or `https`."""
    host: str
    """The name in ASCII, or the address without brackets."""
    port: int
    target: bytes
    """Path and query, as a request names them."""
    path: str
    """The path for a reader."""

    @property
    def netloc(self) -> str:
        """Host and port, the port where it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def query(self) -> bytes:
        """The query, which may hold a key."""
        return self.target.partition(b"?")[2]

    def __str__(self) -> str:
        target = self.target.decode()
        return f"{self.scheme}://{self.netloc}{'' if target == '/' else target}"

    def endpoint(self, name: str) -> Address:
        """Return the address of a resource below this one."""
        path, mark, query = self.target.partition(b"?")
        path = path.rstrip(b"/").removesuffix(b"/responses") + b"/" + name.encode()
        return Address(self.scheme, self.host, self.port, path + mark + query, unquote(path.decode()))

    def to_httpx(self) -> httpx.URL:
        """Return it as httpx has it."""
        return _to_httpx(self)


@functools.lru_cache(maxsize=64)
def _to_httpx(address: Address) -> httpx.URL:
    import httpx

    return httpx.URL(f"{address.scheme}://{address.netloc}").copy_with(raw_path=address.target)


def parse_address(base_url: object) -> Address:
    """Return what a caller gave as `base_url`. Raises `UsageError`, without repeating secrets."""
    text = base_url.strip() if isinstance(base_url, str) else base_url
    if isinstance(text, str) and (found := _USUAL.fullmatch(text)) is not None and "xn--" not in found[2]:
        scheme, host, port, path = found.groups()
        if int(port or 1) < 2**16:
            target = path or "/"
            return Address(scheme, host.lower(), int(port or _PORTS[scheme]), target.encode(), target)
    return _parse_with_httpx(text, base_url)


def _parse_with_httpx(text: object, base_url: object) -> Address:
    import httpx

    shown = repr(_without_secrets(base_url)) if isinstance(base_url, str) else f"a {type(base_url).__name__}"
    try:
        url = httpx.URL(text)  # type: ignore[arg-type]
    except (httpx.InvalidURL, TypeError) as exc:
        reason = exc if isinstance(exc, httpx.InvalidURL) else "give a string"
        raise UsageError(f"base_url={shown} is no URL: {reason}. Example: 'https://api.sambanova.ai/v1'.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"base_url={shown} is no http or https URL. Example: 'http://localhost:8000/v1'.")
    host = url.raw_host.decode("ascii")
    if not _HOST.fullmatch(host):
        raise UsageError(f"base_url={shown}: {url.host!r} is no name of a host. Check it for stray characters.")
    if url.port is not None and not 0 < url.port < 2**16:
        raise UsageError(f"base_url={shown}: port {url.port}; allowed is 1 to 65535.")
    if url.userinfo:
        raise UsageError(f"base_url holds a user name or password for {url.host}. Give the key as api_key=...")
    return Address(url.scheme, host, url.port or _PORTS[url.scheme], url.raw_path, url.path)


def _without_secrets(url: str) -> str:
    """Return a URL for a message, without user, password and query."""
    return re.sub(r"\?.*", "?***", re.sub(r"[^/]*@", "***@", url), flags=re.DOTALL)
