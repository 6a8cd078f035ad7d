"""What is known of a server: small values that say what to send and what its codes mean.

Chosen by the caller (`Client(profile="openai")`) or guessed from the host. An unknown server gets `OTHER`:
the strict common subset.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from agentkit.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server's ways."""

    name: str
    """What `Client(profile=...)` calls it."""
    hosts: tuple[str, ...] = ()
    """Ends of the host names that it answers under."""
    encrypted_reasoning: bool = False
    """Whether reasoning only goes back encrypted under `store: false`, and must be asked for with `include`."""
    image_urls: bool = True
    """Whether the server fetches pictures by their address."""
    files: bool = True
    """Whether it takes `input_file` parts."""
    final_codes: frozenset[str] = frozenset()
    """Error codes after which trying again is no use, whatever the status says."""


# "data: URL only; external URLs not supported"; input_file is not in its specification; `insufficient_quota`
# is the code of its rate limit (SambaNova, OpenAPI and error pages).
SAMBANOVA = Profile(name="sambanova", hosts=("sambanova.ai",), image_urls=False, files=False)

# "insufficient_quota": out of credit (OpenAI, error codes). Reasoning items can be replayed without storage
# where include has "reasoning.encrypted_content" (OpenAI, reasoning guide).
OPENAI = Profile(
    name="openai",
    hosts=("api.openai.com", "chatgpt.com"),
    encrypted_reasoning=True,
    final_codes=frozenset({"insufficient_quota", "billing_hard_limit_reached"}),
)
AZURE = Profile(
    name="azure",
    hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    encrypted_reasoning=True,
    final_codes=frozenset({"insufficient_quota"}),
)
OPENROUTER = Profile(name="openrouter", hosts=("openrouter.ai",))
XAI = Profile(name="xai", hosts=("api.x.ai",))
VLLM = Profile(name="vllm")
# llama.cpp answers 400 to input_file.
LLAMA_CPP = Profile(name="llama.cpp", files=False)
OLLAMA = Profile(name="ollama")
LM_STUDIO = Profile(name="lmstudio")
OTHER = Profile(name="other")

PROFILES = {
    profile.name: profile
    for profile in (SAMBANOVA, OPENAI, AZURE, OPENROUTER, XAI, VLLM, LLAMA_CPP, OLLAMA, LM_STUDIO, OTHER)
}


def find_profile(profile: Profile | str | None, url: str) -> Profile:
    """Return the profile named, or the one that the URL's host points to."""
    if isinstance(profile, Profile):
        return profile
    if profile is None:
        host = urlsplit(url).hostname or ""
        ends = ((end, known) for known in PROFILES.values() for end in known.hosts)
        return next((known for end, known in ends if host == end or host.endswith("." + end)), OTHER)
    if profile not in PROFILES:
        raise UsageError(f"no profile {profile!r}; there are {', '.join(PROFILES)}. For another server use 'other'.")
    return PROFILES[profile]
