"""Which server a URL points to."""

from __future__ import annotations

import pytest

from agentkit.errors import UsageError
from agentkit.profile import AZURE, OPENAI, OTHER, find_profile

HOSTS = [
    ("https://api.sambanova.ai/v1", "sambanova"),
    ("https://api.openai.com/v1", "openai"),
    ("https://eu.api.openai.com/v1", "openai"),
    ("https://API.OpenAI.com:443/v1", "openai"),
    ("https://my-thing.openai.azure.com/openai/v1?api-version=preview", "azure"),
    ("https://my-thing.services.ai.azure.com/openai/v1", "azure"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://api.x.ai/v1", "xai"),
    ("http://localhost:8000/v1", "other"),
    ("http://[::1]:8000/v1", "other"),
    ("https://notapi.openai.com.evil.example/v1", "other"),
    ("https://evilapi.x.ai/v1", "other"),
    ("https://example.com/api.openai.com", "other"),
    ("", "other"),
]


@pytest.mark.parametrize(("url", "expected"), HOSTS)
def test_the_host_says_whose_server_it_is(url: str, expected: str):
    assert find_profile(None, url).name == expected


def test_a_name_or_a_profile_goes_before_the_host():
    assert find_profile("azure", "https://api.openai.com/v1") is AZURE
    assert find_profile(OTHER, "https://api.openai.com/v1") is OTHER


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="no profile 'opnai'; there are sambanova, openai, azure"):
        find_profile("opnai", "http://x")


def test_only_openai_s_reasoning_must_be_encrypted():
    assert (OPENAI.encrypted_reasoning, AZURE.encrypted_reasoning, OTHER.encrypted_reasoning) == (True, True, False)
