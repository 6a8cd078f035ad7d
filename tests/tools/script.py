"""The model that the agents' tests here are recorded from, over HTTP.

agentkit serve tests/tools/script.py --port 8000
AGENTKIT_BASE_URL=http://127.0.0.1:8000/v1 pytest tests/tools --cassettes=rewrite
"""

from __future__ import annotations

from agentkit.testing import ReceivedRequest, Reply, call

CALLS: dict[str, Reply] = {
    "Calculate.": [call("calculate", {"expression": "2**10 / 3"}), call("calculate", {"expression": "9**9**9"})],
    "When?": [
        call("current_time", {"zone": None}),
        call("days_between", {"start": "2024-07-01", "end": "2024-12-24"}),
        call("add_to_date", {"start": "2024-07-01", "years": 0, "months": None, "weeks": 2, "days": 0}),
    ],
    "Look around.": [
        call("list_files", {"path": "docs", "pattern": None, "recursive": None}),
        call("read_file", {"path": "notes.txt", "start": 2, "count": 1}),
        call("search_files", {"pattern": "Guide", "path": ".", "glob": None, "context": 0, "ignore_case": None}),
        call("read_file", {"path": "../outside/secret.txt", "start": None, "count": None}),
    ],
    "Large cities?": [
        call("sql_schema", {"table": "country"}),
        call("sql_query", {"sql": "SELECT name FROM city WHERE people > ?", "parameters": [500_000]}),
        call("sql_query", {"sql": "DROP TABLE city", "parameters": None}),
    ],
}


def script(request: ReceivedRequest) -> Reply:
    """Ask for the calls that belong to the question, wrong ones among them; then it is done."""
    return "Done." if request.last_output is not None else CALLS[str(request.input_items[0]["content"])]
