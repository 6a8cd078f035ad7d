"""Secrets are hidden, and what slips through is found. The secrets here are made up as the tests run."""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
import urllib.parse

import pytest

from agentkit.cassettes.cleaning.edits import apply_edits
from agentkit.cassettes.cleaning.hiding import (
    HideNamed,
    clean_uri,
    hide_pairs,
    hide_values,
    kept_headers,
    secret_values,
)
from agentkit.cassettes.cleaning.secret_names import is_secret_name, is_secret_parameter, is_secret_variable
from agentkit.cassettes.cleaning.secrets import Finding, find_secrets, find_secrets_in

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"
UPPER32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
source = random.Random(11)


def some(length: int, alphabet: str = ALNUM) -> str:
    """Return random characters; among eight and more are at least two digits, as in real keys."""
    text = "".join(source.choice(alphabet) for _ in range(length))
    return text if length < 8 else "4" + text[1:-1] + "7"


def jwt() -> str:
    return ".".join(f"eyJ{some(30)}" for _ in range(2)) + f".{some(43)}"


UUID = "-".join(some(32, HEX)[i:j] for i, j in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))

PLANTED = [
    ("Anthropic key", "sk-ant-" + "api03-" + some(80)),
    ("OpenAI key", "sk-" + "proj-" + some(60)),
    ("OpenAI key", "sk-" + some(48)),
    ("OpenRouter key", "sk-or-" + "v1-" + some(64, HEX)),
    ("Langfuse key", "sk-lf-" + UUID),
    ("SambaNova key", "SAMBANOVA_API_KEY=" + UUID),
    ("Hugging Face token", "hf" + "_" + some(34)),
    ("Groq key", "gsk" + "_" + some(52)),
    ("xAI key", "xai" + "-" + some(80)),
    ("Perplexity key", "pplx" + "-" + some(48)),
    ("Replicate token", "r8" + "_" + some(37)),
    ("NVIDIA key", "nvapi" + "-" + some(64)),
    ("Tavily key", "tvly" + "-dev-" + some(32)),
    ("Cerebras key", "cs" + "k-" + some(48, string.ascii_lowercase + string.digits)),
    ("Fireworks key", "fw" + "_" + some(24)),
    ("Pinecone key", "pc" + "sk_" + some(60)),
    ("ElevenLabs key", "sk" + "_" + some(48, HEX)),
    ("LangSmith key", "lsv2" + "_pt_" + some(32, HEX) + "_" + some(10, HEX)),
    ("GitHub token", "gh" + "p_" + some(36)),
    ("GitHub token", "github" + "_pat_" + some(22) + "_" + some(59)),
    ("GitLab token", "gl" + "pat-" + some(20)),
    ("npm token", "npm" + "_" + some(36)),
    ("PyPI token", "pypi" + "-AgEIcHlwaS5vcmc" + some(80)),
    ("Docker token", "dckr" + "_pat_" + some(27)),
    ("RubyGems key", "rubygems" + "_" + some(48, HEX)),
    ("Pulumi token", "pu" + "l-" + some(40, HEX)),
    ("Atlassian token", "ATATT3" + some(120)),
    ("AWS access key", "AKI" + "A" + some(16, UPPER32)),
    ("AWS access key", "ASI" + "A" + some(16, UPPER32)),
    ("AWS secret key", "aws_secret_access_key = " + some(40)),
    ("AWS session token", "IQoJb3Jp" + "Z2lu" + some(200)),
    ("Supabase token", "sb" + "p_" + some(40, HEX)),
    ("Heroku key", "HR" + "KU-" + some(60)),
    ("PlanetScale token", "pscale" + "_tkn_" + some(43)),
    ("Google key", "AI" + "za" + some(35)),
    ("Google token", "ya" + "29." + some(60)),
    ("Azure storage key", "DefaultEndpointsProtocol=https;AccountName=x;Account" + "Key=" + some(86, B64) + "=="),
    ("Azure storage key", "Endpoint=sb://x/;SharedAccess" + "Key=" + some(43, B64) + "="),
    ("Azure signature", "https://x.blob.core.windows.net/c?sv=2025&sig" + "=" + some(43) + "%3D"),
    ("Azure client secret", some(3) + "8Q" + "~" + some(34)),
    ("Azure key", some(52) + "JQQ" + "J99" + some(26)),
    ("Azure key", "api-key: " + some(32, HEX)),
    ("DigitalOcean token", "dop" + "_v1_" + some(64, HEX)),
    ("Databricks token", "dap" + "i" + some(32, HEX)),
    ("Vault token", "hv" + "s." + some(24)),
    ("Slack token", "xo" + "xb-" + some(12, string.digits) + "-" + some(24)),
    ("Slack webhook", "https://hooks.slack" + ".com/services/T0123/B0456/" + some(24)),
    ("Stripe key", "sk" + "_live_" + some(24)),
    ("Twilio key", "S" + "K" + some(32, HEX)),
    ("SendGrid key", "S" + "G." + some(22) + "." + some(43)),
    ("Mailgun key", "key" + "-" + some(32, HEX)),
    ("Telegram token", some(10, string.digits) + ":A" + "A" + some(33)),
    ("Discord token", "M" + some(24) + "." + some(6) + "." + some(38)),
    ("Discord webhook", "https://discord" + ".com/api/webhooks/" + some(18, string.digits) + "/" + some(68)),
    ("Shopify token", "shp" + "at_" + some(32, HEX)),
    ("Notion token", "ntn" + "_" + some(46)),
    ("Linear key", "lin" + "_api_" + some(40)),
    ("Airtable token", "pa" + "t" + some(14) + "." + some(64, HEX)),
    ("Figma token", "fig" + "d_" + some(40)),
    ("Doppler token", "dp" + ".pt." + some(43)),
    ("New Relic key", "NR" + "AK-" + some(27, string.ascii_uppercase + string.digits)),
    ("Square token", "sq0" + "atp-" + some(22)),
    ("Grafana token", "glsa" + "_" + some(32) + "_" + some(8, HEX)),
    ("private key", "-----BEGIN RSA " + "PRIVATE KEY-----\n" + some(64, B64) + "\n"),
    ("private key", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + some(64, B64) + "\n"),
    ("age key", "AGE-SECRET-" + "KEY-1" + some(58, string.ascii_uppercase + string.digits)),
    ("JSON web token", jwt()),
    ("bearer token", "Authorization: Bearer " + some(40)),
    ("basic login", "Authorization: Basic " + base64.b64encode(b"ann:" + some(9).encode()).decode()),
    ("password in a URL", "postgres://ann:" + some(10) + "@db.example.com/x"),
    ("password in a connection string", "Server=db;User Id=ann;Pass" + "word=" + some(10) + ";"),
    ("password in a connection string", "host=db user=ann pass" + "word=" + some(10)),
    ("assigned secret", "MY_API_KEY=" + some(30)),
    ("assigned secret", "X-Api-Key: " + some(18)),
    ("password", "FOO=1\nDB_PASS" + "WORD=" + some(10) + "\nBAR=2"),
    ("password", "db:\n  pass" + "word: " + some(10)),
    ("password", "mysql --pass" + "word=" + some(10)),
    ("login on a command line", "curl -u ann:" + some(10) + " http://example.com/"),
    ("assigned secret", 'client_secret = "' + some(24)),
]
IDS = [f"{rule} {index}" for index, (rule, _) in enumerate(PLANTED)]


def rules(text: str | bytes) -> set[str]:
    return {finding.rule for finding in find_secrets(text)}


@pytest.mark.parametrize(("rule", "secret"), PLANTED, ids=IDS)
def test_secrets_of_every_kind_are_found_wherever_they_stand(rule, secret):
    assert rule in rules(secret)
    assert rule in rules(f"first\nthe key is {secret}, keep it")
    once = json.dumps({"output": f"line\n{secret}\nline"})
    assert rule in rules(once)
    assert rule in rules(json.dumps({"input": [once]}))
    assert rule in rules(json.dumps({"x": base64.b64encode(f"conf {secret} end".encode()).decode()}))
    assert rule in rules(gzip.compress(f"conf {secret} end".encode()))
    assert rule in rules(base64.urlsafe_b64encode(gzip.compress(f"conf\n{secret}\n".encode())))


@pytest.mark.parametrize(("rule", "secret"), PLANTED, ids=IDS)
def test_a_finding_never_holds_the_secret(rule, secret):
    """Not even a part of it that would help."""
    text = f"a\nb {secret}"
    for finding in find_secrets(text) + find_secrets_in({"x": [text]}):
        for start in range(len(secret) - 8):
            assert secret[start : start + 8] not in repr(finding) or secret[start : start + 8] in rule
        assert set(Finding.__slots__) == {"rule", "place"}


INNOCENT = [
    "password: required, at least 12 characters",
    'password = getpass("Password, 12 characters: ")',
    "password=os.environ['DB_PASSWORD_1']",
    "mysql --password=$DB_PASSWORD_1",
    '{"properties":{"password":{"type":"string","minLength":12}}}',
    "the api-key: see section 12 of the manual",
    "curl -u ann:$PASSWORD_1 http://example.com/",
    "I'd like a task-force-management-system-for-desk-planning-and-risk-assessment, please.",
    "Use `Authorization: Bearer YOUR_API_KEY` or Bearer $TOKEN, Bearer <token>.",
    "Basic understanding and basic authentication-schemes of basic Algorithms1234",
    "the commit 3f786850e387550fdab836ed7e6dc881de23001b and the digest " + "ab" * 32,
    "id call_LwOEhEqPPxyzKCtOsAEOsiQI msg_68d4f9c2a1b881a1a2f0b0d7c5c3e1f90d2a resp_0123456789abcdef0123456789abcdef",
    "550e8400-e29b-41d4-a716-446655440000",
    "postgres://user:password@localhost/db, https://example.com:8080/a@b, redis://:${PASS}@h, http://u:***@h",
    "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY are in the AWS documentation",
    "-----BEGIN PRIVATE KEY----- is how such a file begins; -----END PRIVATE KEY----- ends it.",
    "password=secret; Server=db;Password=<yours>;",
    'api_key = os.environ["SOME_PROVIDER_API_KEY_NAME"]; api_key=your-api-key-goes-right-here-12',
    '{"max_output_tokens": 4096, "token": " hello", "prompt_cache_key": "conversation-2026-11-27-000012"}',
    "SKU SK12, Skeleton, sk-learn, sklearn, sk-SK locale, eyJust.eyJoking.a",
    "data:image/png;base64," + base64.b64encode(bytes(random.Random(1).randrange(256) for _ in range(9000))).decode(),
    "gAAAAABo" + base64.urlsafe_b64encode(random.Random(2).randbytes(3000)).decode(),
    "whsec_..., xoxb-your-token, ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[:40],
    "the token bucket; a secret: tell nobody what happened in 1984; the key is under the mat",
    "<SAMBANOVA_API_KEY> <secret> <scrubbed>",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_conversations_are_no_secrets(text):
    assert find_secrets(text) == []
    assert find_secrets(json.dumps({"a": json.dumps([text])})) == []


def test_places_are_lines_and_columns_or_paths():
    key = "gh" + "p_" + some(36)
    assert find_secrets(f"a\nbc {key}") == [Finding("GitHub token", "line 2, column 4")]
    assert (
        str(find_secrets(base64.b64encode(f"say {key}!".encode()))[0]) == "GitHub token at line 1, column 1 in base64"
    )
    value = {"interactions": [{}, {"response": {"body": f"x {key}"}, "key.s": [key]}]}
    assert [finding.place for finding in find_secrets_in(value)] == [
        "interactions[1].response.body",
        'interactions[1]["key.s"][0]',
    ]


def test_a_secret_spread_over_deltas_is_found():
    key = "gh" + "p_" + some(36)
    deltas = ["The key: ", key[:3], key[3:20], key[20:], " ."]
    assert find_secrets_in({"delta": deltas}) == [Finding("GitHub token", "delta")]
    assert find_secrets_in(deltas[:3]) == []


def test_a_value_is_read_with_its_key():
    assert rules_in({"aws_secret_access_key": some(40)}) >= {"AWS secret key"}
    assert rules_in({"headers": {"api-key": some(32, HEX)}}) >= {"Azure key"}


def rules_in(value: object) -> set[str]:
    return {finding.rule for finding in find_secrets_in(value)}


# Names

SECRET_NAMES = "api_key apiKey API-KEY x-api-key apikey access_token accessToken token id_token password Password db_password passwd pwd secret client_secret clientSecret authorization Authorization Proxy-Authorization cookie Set-Cookie private_key secretKey refresh_token ocp-apim-subscription-key credentials".split()  # noqa: E501, SIM905
OTHER_NAMES = "key monkey max_output_tokens max_tokens total_tokens input_tokens prompt_cache_key primary_key foreign_key sort_key public_key token_type token_count next_page_token nextPageToken pageToken continuation_token nextToken password_hint secretary cookies_accepted author keyboard tokenizer logprobs bytes id".split()  # noqa: E501, SIM905


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


def test_names_of_parameters_and_variables():
    assert [is_secret_parameter(name) for name in ("key", "sig", "api-key", "code", "api-version")] == [1, 1, 1, 0, 0]
    secret = ["SAMBANOVA_API_KEY", "OPENAI_KEY", "GITHUB_TOKEN", "DB_PASS", "AWS_ACCESS_KEY_ID", "GH_PAT", "PGPASSWORD"]
    assert [name for name in secret if not is_secret_variable(name)] == []
    assert [
        name
        for name in ["PATH", "HOME", "KEYBOARD", "TOKEN_LIMIT", "SSH_PUBLIC_KEY", "LANG", "TOKENIZERS_PARALLELISM"]
        if is_secret_variable(name)
    ] == []


# Hiding


def test_which_variables_hold_secrets():
    found = secret_values(
        {
            "A_API_KEY": "k3y-with-eight",
            "SHORT_TOKEN": "abc",
            "KEY_FILE": "/etc/key.pem",
            "TLS_KEY": "/etc/ssl/private/key.pem",
            "WIN_KEY": r"C:\keys\a.pem",
            "HOME_SECRET": "~/secret/file",
            "USE_TOKEN": "disabled",
            "N_TOKENS": "10000000",
            "BASE64_SECRET": "/3xR+tv9zW1qLmA8",
            "DATABASE_URL": "postgres://ann:s3cretpass@db/x",
            "SITE_URL": "https://example.com/a@b",
            "PADDED_SECRET": "  s3cretvalue\n",
            "PATH": "/usr/bin:/bin",
            "PEM_KEY": "-----BEGIN X-----\nabc\n",
        }
    )
    assert found == {
        "A_API_KEY": "k3y-with-eight",
        "BASE64_SECRET": "/3xR+tv9zW1qLmA8",
        "DATABASE_URL": "s3cretpass",
        "PADDED_SECRET": "s3cretvalue",
        "PEM_KEY": "-----BEGIN X-----\nabc",
    }


VALUES = [
    "s3cret-plain-value",
    'qu"ote\\and/slash',
    "ümläut key ☃ 99",
    "two\nlines-of-key",
    "a+b/c=d&e?f#g%h",
    "🔑🔑🔑🔑",
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_hidden_in_every_form(value):
    find = hide_values({"MY_KEY": value})
    raw = value.encode()
    once, once_ascii = json.dumps(value, ensure_ascii=False), json.dumps(value)
    forms = [
        raw,
        once.encode(),
        once_ascii.encode(),
        json.dumps(once).encode(),
        json.dumps(once_ascii).encode(),
        json.dumps(json.dumps({"output": json.dumps({"k": value})})).encode(),
        once.replace("/", "\\/").encode(),
        urllib.parse.quote(value).encode(),
        urllib.parse.quote(value, safe="").encode(),
        urllib.parse.quote_plus(value).encode(),
    ]
    for form in forms:
        hidden = apply_edits(b"x " + form + b" y", find(b"x " + form + b" y"))
        assert hidden in (b"x <MY_KEY> y", b'x "<MY_KEY>" y') or b"<MY_KEY>" in hidden
        assert raw not in hidden
        assert once.encode()[1:-1] not in hidden
        assert once_ascii.encode()[1:-1] not in hidden


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode], ids=["standard", "urlsafe"])
@pytest.mark.parametrize("user", ["", "a:", "ab:", "ann:", "user name:"])
def test_a_value_is_hidden_in_base64_with_anything_around(value, encode, user):
    data = encode(f"{user}{value} and more".encode())
    hidden = apply_edits(data, hide_values({"MY_KEY": value})(data))
    assert b"<MY_KEY>" in hidden
    left = len(hidden.replace(b"<MY_KEY>", b""))
    assert left <= len(data) - len(value.encode()) * 4 // 3 + 5  # parts of two bytes at most


def test_the_longer_of_two_values_is_hidden_whole():
    find = hide_values({"A": "abcdefgh", "B": "abcdefgh-ijkl"})
    data = b"abcdefgh abcdefgh-ijkl"
    assert apply_edits(data, find(data)) == b"<A> <B>"
    assert hide_values({})(data) == []


NAMED = [
    ('{"api_key":"abc12345"}', '{"api_key":"<secret>"}'),
    ('{"password": "x"}', '{"password": "<secret>"}'),
    ('{"a":{"Authorization" : "Bearer 1"}}', '{"a":{"Authorization" : "<secret>"}}'),
    ('{"arguments":"{\\"password\\": \\"p \\\\\\"q\\"}"}', '{"arguments":"{\\"password\\": \\"<secret>\\"}"}'),
    ('data: {"x":1,"client_secret":"s"}\n\n', 'data: {"x":1,"client_secret":"<secret>"}\n\n'),
    ('{"token":"abcdefgh12345678"}', '{"token":"<secret>"}'),
    ('{"output":"[{\\"cookie\\":\\"a=b\\"}]"}', '{"output":"[{\\"cookie\\":\\"<secret>\\"}]"}'),
    (',{"output":"{\\"pwd\\":\\"\\\\u00e9\\"}"}]}', ',{"output":"{\\"pwd\\":\\"<secret>\\"}"}]}'),
]
NOT_NAMED = [
    '{"token":" hello","logprob":-0.1,"bytes":[1]}',
    '{"token":"hello","top_logprobs":[{"token":"internationally"}]}',
    '{"max_output_tokens":512,"prompt_cache_key":"abcdefgh1234"}',
    '{"properties":{"password":{"type":"string"},"api_key":{"type":"string"}},"required":["password"]}',
    '{"password":null,"api_key":"","secret":"<API_KEY>","pwd":"***"}',
    '{"key":"Enter","keys":["a"],"next_page_token":"abcdefgh12345678"}',
    '{"text":"the password: hunter2"}',
    '["password","x"]',
    '{"a":["api_key","abc12345678"]}',
    "not json at all",
]


@pytest.mark.parametrize(("before", "after"), NAMED)
def test_values_of_secret_keys_are_hidden_and_the_rest_stays(before, after):
    assert apply_edits(before.encode(), HideNamed()(before.encode())).decode() == after
    assert HideNamed()(after.encode()) == []


@pytest.mark.parametrize("text", NOT_NAMED)
def test_other_values_stay(text):
    assert HideNamed()(text.encode()) == []


BESIDE = [
    (
        '[{"name":"Cookie","value":"sid=1"},{"name":"Accept","value":"a"}]',
        '[{"name":"Cookie","value":"<secret>"},{"name":"Accept","value":"a"}]',
    ),
    (
        '"{\\"name\\": \\"password\\", \\"value\\": \\"x 1\\"}"',
        '"{\\"name\\": \\"password\\", \\"value\\": \\"<secret>\\"}"',
    ),
    ('[["Authorization","Token 1"],["Accept","a"]]', '[["Authorization","<secret>"],["Accept","a"]]'),
    ('{"password":12345678,"count":12345678}', '{"password":10000000,"count":12345678}'),
    ('"{\\"db_pwd\\":1234}"', '"{\\"db_pwd\\":1000}"'),
]
NOT_BESIDE = [
    '{"required":["password","username"]}',
    '["cookie","biscuit","cake"]',
    '{"name":"city","value":"Oslo"}',
    '{"total_tokens":12345,"token":12345,"secret_santa":12345}',
    '{"name":"password","type":"string"}',
]


@pytest.mark.parametrize(("before", "after"), BESIDE)
def test_values_beside_their_names_are_hidden(before, after):
    assert apply_edits(before.encode(), hide_pairs(before.encode())).decode() == after
    assert hide_pairs(after.encode()) == []
    json.loads(after)


@pytest.mark.parametrize("text", NOT_BESIDE)
def test_names_without_a_secret_hide_nothing(text):
    assert hide_pairs(text.encode()) == []


def test_only_headers_that_the_client_reads_are_kept():
    sent = [("Content-Type", "a"), ("Set-Cookie", "b"), ("Retry-After", "1"), ("X-Request-Id", "r"), ("Date", "d")]
    sent += [("Location", "https://u:p@h/x?token=abc&a=1"), ("Authorization", "Bearer x"), ("x-should-retry", "true")]
    assert kept_headers(sent) == (
        ("content-type", "a"),
        ("retry-after", "1"),
        ("x-request-id", "r"),
        ("location", "https://h/x?token=<secret>&a=1"),
        ("x-should-retry", "true"),
    )


def test_uris_are_kept_without_their_secrets():
    assert clean_uri("https://ann:pw@h:8/v1/responses?api-version=1&key=abc&sig=x%20y#f") == (
        "https://h:8/v1/responses?api-version=1&key=<secret>&sig=<secret>#f"
    )
    assert clean_uri("/v1/responses?a@b=1") == "/v1/responses?a@b=1"
