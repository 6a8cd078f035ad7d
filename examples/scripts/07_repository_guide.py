"""The model of examples/07_repository_guide.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest, Reply, call


def script(request: ReceivedRequest) -> Reply:
    """It looks around, searches, tries to look outside, and answers."""
    if request.last_output is None:
        return call("list_files", {"path": "examples", "pattern": "0[1-3]*.py"})
    if request.last_output.startswith("examples/01_hello.py"):
        return call("search_files", {"pattern": r"output_type=\w+", "path": "examples", "glob": "0[1-5]*.py"})
    if request.last_output.startswith("examples/03_structured_output.py"):
        return call("read_file", {"path": "../secrets.txt"})
    return "examples/03_structured_output.py shows how to get an answer of a type: pass output_type."
