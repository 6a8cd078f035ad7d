"""The model of examples/08_data_assistant.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest, Reply, call

QUERY = "SELECT country, sum(people) AS people FROM city GROUP BY country ORDER BY people DESC"


def script(request: ReceivedRequest) -> Reply:
    """It looks at the schema, asks, tries to change something, and answers."""
    if request.last_output is None:
        return call("sql_schema", {"table": None})
    if request.last_output.startswith("table city"):
        return [call("sql_query", {"sql": QUERY}), call("sql_query", {"sql": "DELETE FROM city"})]
    return "Most people live in the cities of Sweden: 1,581,589."
