"""Secrets in a text that is about to be written, or was: found by their form. Pure.

The last line of defence: what is known to be secret was hidden before (`hiding.py`). A rule asks for the fixed
parts that its kind of key begins with or holds, never for mere randomness: conversations are full of ids and hashes,
and a scanner that cries wolf is switched off. What is found is named by rule and place; the value goes nowhere.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentkit.cassettes.cleaning.edits import Edit, apply_edits
from agentkit.cassettes.cleaning.literals import any_in, escaped_forms
from agentkit.cassettes.matching.paths import Path, write_path

MAX_BLOB = 256 * 1024
"""Characters of the longest base64 that is opened, and bytes taken from what is compressed."""
_MAX_OPENED = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret: of what kind, and where. It doesn't hold the secret."""

    rule: str
    """What it looks like, such as `GitHub token`."""
    place: str
    """Line and column, or a path; with `in base64` or `in gzip` where it was wrapped."""

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}"


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    pattern: re.Pattern[bytes]
    anchors: tuple[bytes, ...]
    """One of these is in every match, in lower case where the pattern takes either."""
    is_real: Callable[[re.Match[bytes]], bool] | None
    is_bounded: bool
    """Whether no letter or digit may come before."""
    is_near: bool
    """Whether matches are looked for around the anchors only, for patterns that have no fixed beginning."""


def find_secrets(text: str | bytes) -> list[Finding]:
    """Return the secrets in a text, also those in its base64 and in gzip, by line and column."""
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    found: dict[Finding, None] = {}
    for rule, position, wrapping in _find(data, 0):
        line = data.count(b"\n", 0, position) + 1
        column = position - data.rfind(b"\n", 0, position)
        found[Finding(rule, f"line {line}, column {column}{wrapping}")] = None
    return list(found)


def find_secrets_in(value: object, path: Path = ()) -> list[Finding]:
    """Return the secrets in a JSON-like value by path; a list of strings is also read as one text, as deltas are."""
    return list(dict.fromkeys(_walk(value, path, _named)))


def find_values_in(value: object, values: Collection[str]) -> list[Finding]:
    """Return where texts of a JSON-like value hold one of these, which are secret by the names of their keys."""
    forms = [form for each in tuple(values) for form in escaped_forms(each)]

    def find(text: str | bytes, path: Path) -> Iterator[Finding]:
        if any_in(forms, text.encode(errors="surrogatepass") if isinstance(text, str) else text):
            yield Finding("the value of a key that is named like a secret", write_path(path) or "the top")

    return list(dict.fromkeys(_walk(value, (), find))) if forms else []


def _walk(value: object, path: Path, find: Callable[[str | bytes, Path], Iterator[Finding]]) -> Iterator[Finding]:
    if isinstance(value, str | bytes):
        yield from find(value, path)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from find(str(key), path)
            yield from _walk(member, (*path, str(key)), find)
            if isinstance(member, str):
                yield from find(f'"{key}": "{member}"', (*path, str(key)))
    elif isinstance(value, Sequence):
        pieces = [member for member in value if isinstance(member, str)]
        if len(pieces) == len(value) > 1:
            yield from find("".join(pieces), path)
        for index, member in enumerate(value):
            yield from _walk(member, (*path, index), find)


def _named(text: str | bytes, path: Path) -> Iterator[Finding]:
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    for rule, _, wrapping in _find(data, 0):
        yield Finding(rule, f"{write_path(path) or 'the top'}{wrapping}")


def mask_secrets(data: bytes) -> bytes:
    """Return bytes that can be shown: what looks like a secret is named, `<OpenAI key>`, instead of told."""
    edits: list[Edit] = []
    for rule, match in sorted(_found(data), key=lambda found: found[1].start()):
        if not edits or match.start() >= edits[-1][1]:
            edits.append((match.start(), match.end(), f"<{rule.name}>".encode()))
    return apply_edits(data, edits)


def _find(data: bytes, opened: int) -> Iterator[tuple[str, int, str]]:
    yield from ((rule.name, match.start(), "") for rule, match in _found(data))
    if opened < _MAX_OPENED:
        yield from _find_wrapped(data, opened)


def _found(data: bytes) -> Iterator[tuple[_Rule, re.Match[bytes]]]:
    lowered = data.lower()
    for rule in _RULES:
        for match in _matches(rule, data, lowered):
            begins = not rule.is_bounded or _BEGIN.match(data, match.start())
            if begins and (rule.is_real is None or rule.is_real(match)):
                yield rule, match


def _matches(rule: _Rule, data: bytes, lowered: bytes) -> Iterator[re.Match[bytes]]:
    """Return the matches of a rule. One without a fixed beginning is tried around its anchors only, which is faster."""
    present = [anchor for anchor in rule.anchors if anchor in lowered]
    if not present:
        return iter(())
    return _matches_near(rule, present, data, lowered) if rule.is_near else rule.pattern.finditer(data)


def _matches_near(rule: _Rule, anchors: list[bytes], data: bytes, lowered: bytes) -> Iterator[re.Match[bytes]]:
    position = 0
    for anchor in re.finditer(b"|".join(map(re.escape, anchors)), lowered):
        match = rule.pattern.search(data, max(position, anchor.start() - _REACH), anchor.end() + _REACH)
        if match is not None:
            yield match
            position = match.end()


def _find_wrapped(data: bytes, opened: int) -> Iterator[tuple[str, int, str]]:
    if data.startswith(b"\x1f\x8b"):
        for rule, _, wrapping in _find(_unzipped(data), opened + 1):
            yield rule, 0, f" in gzip{wrapping}"
    for match in _BLOB.finditer(data):
        for rule, _, wrapping in _find(_decoded(match[0]), opened + 1):
            yield rule, match.start(), f" in base64{wrapping}"


_BLOB = re.compile(rb"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{32,%d}(?![A-Za-z0-9+/_\-])" % MAX_BLOB)


def _decoded(blob: bytes) -> bytes:
    blob = blob.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(blob[: len(blob) - (1 if len(blob) % 4 == 1 else 0)] + b"==")
    except binascii.Error:
        return b""


def _unzipped(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MAX_BLOB)
    except zlib.error:
        return b""


# The character before a key is no letter or digit; the letter of an escaped line end is none either.
_BEGIN = re.compile(rb"(?<![A-Za-z0-9_\-])|(?<=\\[nrt])")
_REACH = 300
"""Bytes looked at before and after an anchor."""
_END = r"(?![A-Za-z0-9_\-])"
_QUOTES = r"""[\s"'\\:=>]{1,12}"""
"""What stands between a name and its value: quotes, escaped or not, colon, equals sign."""

_PLACEHOLDER = re.compile(
    rb"(?i)[<{$\[%*(].*|x+|\.+|.*(?:example|placeholder|redacted|your|dummy|xxxx|\*\*\*|\.\.\.).*|"
    rb"pass|passw(?:or)?d|pwd|secret|token|user|admin|root|postgres|guest|test|changeme|hunter2?"
)


def _is_value(match: re.Match[bytes]) -> bool:
    """Tell whether the group `value` is more than a stand-in."""
    return _PLACEHOLDER.fullmatch(match["value"]) is None


def _is_random(match: re.Match[bytes]) -> bool:
    """Tell whether the group `value` mixes letters and digits, as keys do and words don't."""
    value = match["value"]
    digits = sum(48 <= character <= 57 for character in value)
    return digits >= 2 and digits < len(value) and _is_value(match) and len(set(value)) >= 8


def _is_password(match: re.Match[bytes]) -> bool:
    """Tell whether the group `value` has letters and digits, as passwords do, and most words of a text don't."""
    value = match["value"]
    return any(48 <= c <= 57 for c in value) and re.search(rb"[A-Za-z]", value) is not None and _is_value(match)


def _is_login(match: re.Match[bytes]) -> bool:
    """Tell whether the group `value` is base64 of `user:password`."""
    user, colon, password = _decoded(match["value"].rstrip(b"=")).partition(b":")
    return bool(user and colon and password) and (user + password).isascii() and user.decode("ascii").isprintable()


def _rule(
    name: str,
    pattern: str,
    *anchors: str,
    is_real: Callable[[re.Match[bytes]], bool] | None = None,
    is_bounded: bool = True,
    is_near: bool = False,
) -> _Rule:
    whole = f"(?:{pattern}){_END}" if is_bounded else pattern
    lowered = tuple(anchor.lower().encode() for anchor in anchors)
    return _Rule(name, re.compile(whole.encode()), lowered, is_real, is_bounded, is_near)


_RULES: tuple[_Rule, ...] = (
    # model providers
    _rule("Anthropic key", r"sk-ant-[A-Za-z0-9_\-]{20,}", "sk-ant-"),
    _rule("OpenAI key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{20,}", "sk-"),
    _rule("OpenAI key", r"(?:sk|sess)-(?P<value>[A-Za-z0-9]{32,64})", "sk-", "sess-", is_real=_is_random),
    _rule("OpenRouter key", r"sk-or-v1-[0-9a-f]{64}", "sk-or-"),
    _rule("Langfuse key", r"sk-lf-[0-9a-f]{8}-[0-9a-f\-]{27}", "sk-lf-"),
    _rule(
        "SambaNova key",
        rf"(?i:samba(?:nova)?[a-z_ \-]{{0,20}}(?:key|token)){_QUOTES}"
        r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
        "samba",
        is_near=True,
    ),
    _rule("Hugging Face token", r"(?:hf|api_org)_[A-Za-z]{34}|hf_[A-Za-z0-9]{34,40}", "hf_", "api_org_"),
    _rule("Groq key", r"gsk_[A-Za-z0-9]{40,}", "gsk_"),
    _rule("xAI key", r"xai-[A-Za-z0-9]{60,}", "xai-"),
    _rule("Perplexity key", r"pplx-[A-Za-z0-9]{40,}", "pplx-"),
    _rule("Replicate token", r"r8_[A-Za-z0-9]{37}", "r8_"),
    _rule("NVIDIA key", r"nvapi-[A-Za-z0-9_\-]{50,}", "nvapi-"),
    _rule("Tavily key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}", "tvly-"),
    _rule("Cerebras key", r"csk-(?P<value>[a-z0-9]{40,})", "csk-", is_real=_is_random),
    _rule("Fireworks key", r"fw_(?P<value>[A-Za-z0-9]{20,})", "fw_", is_real=_is_random),
    _rule("Pinecone key", r"pcsk_(?P<value>[A-Za-z0-9_]{40,})", "pcsk_", is_real=_is_random),
    _rule("ElevenLabs key", r"sk_[0-9a-f]{48}", "sk_"),
    _rule("LangSmith key", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", "lsv2_"),
    # code and packages
    _rule("GitHub token", r"gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}", "gh", "github_pat_"),
    _rule("GitLab token", r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_\-]{20,}", "gl"),
    _rule("npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _rule("PyPI token", r"pypi-AgE[A-Za-z0-9_\-]{50,}", "pypi-age"),
    _rule("Docker token", r"dckr_(?:pat|oat)_[A-Za-z0-9_\-]{27,}", "dckr_"),
    _rule("RubyGems key", r"rubygems_[0-9a-f]{48}", "rubygems_"),
    _rule("Pulumi token", r"pul-[0-9a-f]{40}", "pul-"),
    _rule("Atlassian token", r"ATATT3[A-Za-z0-9_\-=]{60,}", "atatt3"),
    # clouds
    _rule(
        "AWS access key",
        r"(?:AKIA|ASIA|ABIA|ACCA)(?P<value>[A-Z2-7]{16})",
        "akia",
        "asia",
        "abia",
        "acca",
        is_real=_is_value,
    ),
    _rule(
        "AWS secret key",
        rf"(?i:aws[a-z_ \-.]{{0,20}}(?:key|secret)|secret_?access_?key){_QUOTES}"
        r"(?P<value>[A-Za-z0-9/+]{40})(?![/+=])",
        "aws",
        "secret",
        is_real=_is_random,
        is_near=True,
    ),
    _rule("AWS session token", r"IQoJb3JpZ2lu[A-Za-z0-9+/]{100,}={0,2}", "iqojb3jpz2lu"),
    _rule("Supabase token", r"sbp_[0-9a-f]{40}", "sbp_"),
    _rule("Heroku key", r"HRKU-(?P<value>[A-Za-z0-9_\-]{58,})", "hrku-", is_real=_is_random),
    _rule("PlanetScale token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.\-]{32,}", "pscale_"),
    _rule("Google key", r"AIza[A-Za-z0-9_\-]{35}", "aiza"),
    _rule(
        "Google token",
        r"ya29\.[A-Za-z0-9_\-]{20,}|GOCSPX-[A-Za-z0-9_\-]{28}|1//0[A-Za-z0-9_\-]{40,}",
        "ya29.",
        "gocspx-",
        "1//0",
    ),
    _rule(
        "Azure storage key",
        r"(?i:Account|SharedAccess)(?i:Key)=[A-Za-z0-9+/]{42,86}={1,2}",
        "accountkey=",
        "sharedaccesskey=",
        is_bounded=False,
    ),
    _rule("Azure signature", r"[?&]sig=[A-Za-z0-9%+/]{43,}", "sig=", is_bounded=False),
    _rule("Azure client secret", r"[A-Za-z0-9_~.\-]{3}8Q~[A-Za-z0-9_~.\-]{34}", "8q~"),
    _rule("Azure key", r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}", "jqqj99"),
    _rule(
        "Azure key",
        rf"(?i:api-?key|subscription-key|azure[a-z_\- ]{{0,24}}key){_QUOTES}(?P<value>[0-9a-f]{{32}})",
        "apikey",
        "api-key",
        "subscription-key",
        "azure",
        is_real=_is_random,
        is_near=True,
    ),
    _rule("DigitalOcean token", r"do[opr]_v1_[0-9a-f]{64}", "do"),
    _rule("Databricks token", r"dapi[0-9a-f]{32}(?:-\d)?", "dapi"),
    _rule("Vault token", r"hv[sbr]\.[A-Za-z0-9_\-]{24,}", "hvs.", "hvb.", "hvr."),
    # services
    _rule(
        "Slack token",
        r"(?P<value>xox[abeoprs]-[A-Za-z0-9\-]{10,}|xapp-\d-[A-Z0-9]+-\d+-[A-Za-z0-9]+)",
        "xox",
        "xapp-",
        is_real=_is_random,
    ),
    _rule(
        "Slack webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{20,}",
        "hooks.slack.com",
        is_bounded=False,
    ),
    _rule(
        "Stripe key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}", "k_live_", "k_test_", "whsec_"
    ),
    _rule("Twilio key", r"SK[0-9a-f]{32}", "sk"),
    _rule("SendGrid key", r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}", "sg."),
    _rule("Mailgun key", r"key-[0-9a-f]{32}", "key-"),
    _rule("Telegram token", r"\d{8,10}:AA[A-Za-z0-9_\-]{33}", ":aa"),
    _rule(
        "Discord token",
        r"[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.(?P<value>[A-Za-z0-9_\-]{27,38})",
        ".",
        is_real=_is_random,
    ),
    _rule(
        "Discord webhook",
        r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{60,}",
        "/api/webhooks/",
        is_bounded=False,
    ),
    _rule("Shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-f]{32}", "shp"),
    _rule("Notion token", r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}", "ntn_", "secret_"),
    _rule("Linear key", r"lin_api_[A-Za-z0-9]{40}", "lin_api_"),
    _rule("Airtable token", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", "pat"),
    _rule("Figma token", r"figd_[A-Za-z0-9_\-]{38,}", "figd_"),
    _rule("Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}", "dp."),
    _rule("New Relic key", r"NRAK-[A-Z0-9]{27}", "nrak-"),
    _rule("Square token", r"sq0[a-z]{3}-[A-Za-z0-9_\-]{22,}", "sq0"),
    _rule("Grafana token", r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,}", "glsa_", "glc_"),
    # forms of their own
    _rule(
        "private key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]{0,400}?)[A-Za-z0-9+/]{40}",
        "private key",
        is_bounded=False,
    ),
    _rule("age key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", "age-secret-key-1"),
    _rule("JSON web token", r"eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,}", "eyj"),
    _rule(
        "bearer token", r"(?i:bearer)(?:\s|%20)+(?P<value>[A-Za-z0-9_\-.~+/]{20,}={0,2})", "bearer", is_real=_is_random
    ),
    _rule("basic login", r"(?i:basic)(?:\s|%20)+(?P<value>[A-Za-z0-9+/]{8,}={0,2})", "basic", is_real=_is_login),
    _rule(
        "password in a URL",
        r"""[a-z][a-z0-9+.\-]{1,20}://[^\s/:@"'<>\\]{0,64}:(?P<value>[^\s/:@"'<>\\]{3,})@(?=[A-Za-z0-9.\[])""",
        "://",
        is_real=_is_value,
        is_bounded=False,
        is_near=True,
    ),
    _rule(
        "password in a connection string",
        r"""(?i)(?:server|host|data source|addr|user|user id|uid|username|dbname|database)=[^;"'\s]{1,120}[; ]"""
        r"""(?:[^"'\n]{0,200}?[; ])?(?:password|pwd)=(?P<value>[^;"'\s\\]{4,})""",
        "password=",
        "pwd=",
        is_real=_is_value,
        is_bounded=False,
        is_near=True,
    ),
    _rule(
        "password",
        r"""(?i)(?:password|passwd|passphrase)(?:[\\"']{0,6}\s{0,3}[:=]|=)[\s\\"']{0,8}"""
        r"""(?P<value>[^\s"'\\,;&<>(){}\[\]$]{8,})(?![(\[{$])""",
        "password",
        "passwd",
        "passphrase",
        is_real=_is_password,
        is_bounded=False,
        is_near=True,
    ),
    _rule(
        "login on a command line",
        r"""curl\s[^\n]{0,200}?(?:-u|--user)[\s=\\"']{1,6}[^\s:"'\\]{1,64}:(?P<value>[^\s"'\\$]{6,})""",
        "curl",
        is_real=_is_value,
        is_near=True,
    ),
    _rule(
        "assigned secret",
        rf"(?i:api[_-]?key|secret(?:_?key)?|auth_?token|access_?token|private_?key){_QUOTES}"
        r"(?P<value>[A-Za-z0-9_\-+/]{16,})",
        "apikey",
        "api_key",
        "api-key",
        "secret",
        "token",
        "private_key",
        is_real=_is_random,
        is_bounded=False,
        is_near=True,
    ),
)
