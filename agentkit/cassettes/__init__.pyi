"""What type checkers see of the package: the names that `__init__.py` loads on use."""

from agentkit.cassettes.files import CassetteFile as CassetteFile
from agentkit.cassettes.format.serializer import vcr as vcr
from agentkit.cassettes.interaction import Recording as Recording
from agentkit.cassettes.review.past import conversation_until as conversation_until
from agentkit.cassettes.session import Cassette as Cassette
from agentkit.cassettes.session import cassette as cassette
