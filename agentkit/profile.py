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
    """One server's ways, as far as they change what is sent or what is made of an error."""

    name: str
    """What `Client(profile=...)` calls it."""
    hosts: tuple[str, ...] = ()
    """Ends of the host names that it answers under."""
    key_header: str = "authorization"
    """The header that a key goes into; `authorization` takes it as `Bearer`."""
    encrypted_reasoning: bool = False
    """Whether reasoning only goes back encrypted under `store: false`, and must be asked for with `include`."""
    spoken_reasoning: bool = False
    """Whether reasoning only goes back with its text in `content`."""
    image_urls: bool = True
    """Whether the server fetches pictures by their address."""
    files: bool = True
    """Whether it takes `input_file` parts."""
    final_codes: frozenset[str] = frozenset()
    """Error codes after which trying again is no use, whatever the status says."""


SAMBANOVA = Profile(
    name="sambanova",
    hosts=("sambanova.ai",),
    image_urls=False,  # "data: URL only; external URLs not supported" (OpenAPI, input_image)
    files=False,  # input_file is in none of its schemas (OpenAPI)
    final_codes=frozenset(),  # `insufficient_quota` with 429 is the code of its rate limit (error codes)
)

# The code where an account is out of credit (OpenAI, error codes).
_OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})

OPENAI = Profile(
    name="openai",
    hosts=("api.openai.com", "chatgpt.com"),
    # With "reasoning.encrypted_content" in `include`, reasoning can be replayed without storage; without it, the
    # server can't find the item again by its id (OpenAI, reasoning guide; seen in recorded traffic).
    encrypted_reasoning=True,
    final_codes=_OUT_OF_CREDIT,
)
AZURE = Profile(
    name="azure",
    hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    key_header="api-key",  # a key; a token, which a function brings, goes into `authorization` (Azure, authentication)
    encrypted_reasoning=True,  # OpenAI's models, under OpenAI's rules
    final_codes=_OUT_OF_CREDIT,
)
# The next two take what they are sent (recorded traffic of both); for spent credit they answer 402 and 403, which are
# final anyway.
OPENROUTER = Profile(name="openrouter", hosts=("openrouter.ai",))
XAI = Profile(name="xai", hosts=("api.x.ai",))
# The rest run on a host of the user's own, which says nothing: they are chosen by name.
VLLM = Profile(name="vllm")
LLAMA_CPP = Profile(
    name="llama.cpp",
    # 400 unless a reasoning item has `content`, a non-empty array, and `summary`, an array (llama.cpp server, source).
    spoken_reasoning=True,
    files=False,  # 400 for input_file (llama.cpp server, source)
)
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
