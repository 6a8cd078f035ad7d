"""The pages docs/faults.md, made of tests/faults/rows.py, and docs/errors.md, made of agentkit/errors.py.

python -m tests.faults.pages --write
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from agentkit import errors
from tests.faults.rows import ROWS

DOCS = Path(__file__).parents[2] / "docs"
FAULTS_PAGE = DOCS / "faults.md"
ERRORS_PAGE = DOCS / "errors.md"

GROUPS = {
    "N": "The network",
    "H": "Statuses and headers",
    "B": "Bodies",
    "S": "Streams",
    "T": "Calls that the model writes",
    "X": "Tools",
}
RULES = """# What can go wrong, and what happens then

This page is written by `python -m tests.faults.pages --write` from `tests/faults/rows.py`, which also names the tests
of each row. What holds in every row:

1. No tool runs before its call came in a response whose terminal event was read.
2. Text and arguments of two attempts are never joined.
3. Every call gets exactly one output before the next request.
4. No key appears in an error, a log, a repr.
5. Nothing hangs past its deadline; no thread, task, socket, process or file is left behind (but for a sync tool that
   timed out, which can't be stopped).
6. Every attempt of a request sends the same bytes under the same `x-client-request-id`, its number in `x-attempt`.
7. Every failure is one typed error with its cause, status, request id and attempts.

"Tries again" means: as `RetryPolicy` says (four requests in all, waits up to 0.5, 1, 2 s), as long as the client's
retry budget pays for it (see [retries.md](retries.md)). [errors.md](errors.md) lists the errors.
"""


def faults_page() -> str:
    """Return the page of faults."""
    parts = [RULES]
    for letter, title in GROUPS.items():
        rows = [
            f"| {name} | {row.fault} | {row.does} | {len(row.tests)} |"
            for name, row in ROWS.items()
            if name.startswith(letter)
        ]
        parts.append(
            "\n".join([f"## {title}\n", "| | what goes wrong | what happens | tests |", "|---|---|---|---|", *rows])
        )
    return "\n".join([parts[0], "\n\n".join(parts[1:])]) + "\n"


ERRORS_HEAD = """# Errors

This page is written by `python -m tests.faults.pages --write` from `agentkit/errors.py`, and a test fails where it
differs. Every error that leaves a run carries `.transcript`, the conversation so far: the run can be continued from it.
Errors of requests carry `.attempts`, one entry for each HTTP request that failed.

```
{tree}
```
"""


def errors_page() -> str:
    """Return the page of errors: the tree, then each class with its cause and what to do."""
    intro = inspect.cleandoc(errors.__doc__ or "")
    tree = intro.partition("\n\n")[2]
    sections = [_section(cls) for cls in _classes(tree)]
    return "\n".join([ERRORS_HEAD.format(tree=tree.strip()), *sections])


def _classes(tree: str) -> list[type[BaseException]]:
    names = [line.strip(" │├└─").split()[0] for line in tree.splitlines() if line.strip(" │├└─")]
    return [getattr(errors, name) for name in names]


def _section(cls: type[BaseException]) -> str:
    cause, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")
    return f"## {cls.__name__}\n\n{' '.join(cause.split())}\n\n{rest.strip()}\n"


def main() -> None:
    """Print the pages, or write them."""
    for path, text in ((FAULTS_PAGE, faults_page()), (ERRORS_PAGE, errors_page())):
        if "--write" in sys.argv:
            path.write_text(text, encoding="utf-8")
        else:
            print(text)


if __name__ == "__main__":
    main()
