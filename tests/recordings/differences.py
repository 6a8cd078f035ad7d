"""What the clients of the recordings did to the items on the way back to the server.

agentkit sends items as they came. Other clients leave fields out, write messages in another form, drop
reasoning. Each function here undoes one such change and says how often it found it; what is left must be equal.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recordings.exchanges import Exchange, Item

REASONING_IN_EVENTS: dict = {}
