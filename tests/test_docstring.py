"""Docstrings of three styles, read by our parser and compared with the docstring_parser package."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import docstring_parser
import pytest

from agentkit.docstring import Docstring, parse_docstring

GOOGLE = """Book a table.

    The booking is binding, and can be
    cancelled until noon.

    Args:
        restaurant (str): Name of the restaurant,
            for example "Maaemo".
        guests (int, optional): How many come. Defaults to 2.
        when: Time of arrival.
            Local time of the restaurant.
        **extras (dict[str, Any]): Wishes.

    Returns:
        str: The booking's number.

    Raises:
        ValueError: if the place is full.

    Examples:
        >>> book("Maaemo")
    """

NUMPY = """Book a table.

    The booking is binding.

    Parameters
    ----------
    restaurant : str
        Name of the restaurant,
        for example "Maaemo".
    guests, children : int, optional
        How many come.
    when
        Time of arrival.

    Returns
    -------
    str
        The booking's number.

    Notes
    -----
    Closed on Mondays.
    """

SPHINX = """Book a table.

    The booking is binding.

    :param str restaurant: Name of the restaurant,
        for example "Maaemo".
    :param guests: How many come.
    :type guests: int
    :keyword when: Time of arrival.
    :returns: The booking's number.
    :rtype: str
    :raises ValueError: if the place is full.
    """

TABLE = [
    (
        "google",
        GOOGLE,
        "Book a table.\n\nThe booking is binding, and can be\ncancelled until noon.",
        {
            "restaurant": 'Name of the restaurant, for example "Maaemo".',
            "guests": "How many come. Defaults to 2.",
            "when": "Time of arrival. Local time of the restaurant.",
            "extras": "Wishes.",
        },
    ),
    (
        "numpy",
        NUMPY,
        "Book a table.\n\nThe booking is binding.\n\nNotes:\nClosed on Mondays.",
        {
            "restaurant": 'Name of the restaurant, for example "Maaemo".',
            "guests": "How many come.",
            "children": "How many come.",
            "when": "Time of arrival.",
        },
    ),
    (
        "sphinx",
        SPHINX,
        "Book a table.\n\nThe booking is binding.",
        {
            "restaurant": 'Name of the restaurant, for example "Maaemo".',
            "guests": "How many come.",
            "when": "Time of arrival.",
        },
    ),
    ("summary only", "Book a table.", "Book a table.", {}),
    ("empty", "", "", {}),
    ("blank", "  \n\t\n ", "", {}),
    (
        "generic types with brackets and colons",
        'Do.\n\nArgs:\n    f (Callable[[int], dict[str, int]]): First.\n    g (Literal["a:b"]): Second.',
        "Do.",
        {"f": "First.", "g": "Second."},
    ),
    (
        "a colon inside the text",
        "Do.\n\nArgs:\n    when: ISO 8601: 2025-01-31T10:00\n    url: e.g. https://example.org:8080",
        "Do.",
        {"when": "ISO 8601: 2025-01-31T10:00", "url": "e.g. https://example.org:8080"},
    ),
    (
        "a list inside an argument",
        "Do.\n\nArgs:\n    mode: One of\n        - fast: less exact\n        - slow: exact\n    x: Last.",
        "Do.",
        {"mode": "One of\n- fast: less exact\n- slow: exact", "x": "Last."},
    ),
    (
        "entries not indented",
        "Do.\n\nArgs:\ncity: Name.\nunit: C or F.\n\nMore.",
        "Do.\n\nMore.",
        {"city": "Name.", "unit": "C or F."},
    ),
    (
        "dashes for colons",
        "Do.\n\nArguments:\n    city - Name.\n    unit -- C or F.",
        "Do.",
        {"city": "Name.", "unit": "C or F."},
    ),
    (
        "bullets",
        "Do.\n\nParameters:\n    - city: Name.\n    * `unit`: C or F.",
        "Do.",
        {"city": "Name.", "unit": "C or F."},
    ),
    ("text after the sections", "Do.\n\nArgs:\n    x: X.\n\nUse with care.", "Do.\n\nUse with care.", {"x": "X."}),
    ("notes stay", "Do.\n\nNote:\n    Slow.\n\nReturns:\n    It.", "Do.\n\nNote:\n    Slow.", {}),
    ("returns on one line", "Do.\n\nReturns: the thing,\nand more.", "Do.", {}),
    ("no blank line before Args", "Do.\nArgs:\n    x: X.\nReturns:\n    Y.", "Do.", {"x": "X."}),
    (
        "a sentence that ends with a colon",
        "Do one of these things:\n\n- a\n- b",
        "Do one of these things:\n\n- a\n- b",
        {},
    ),
    ("a word that only looks like a section", "Result: it is done.", "Result: it is done.", {}),
    ("epytext", "Do.\n\n@param x: X.\n@return: Y.", "Do.", {"x": "X."}),
    ("argument without text", "Do.\n\nArgs:\n    x:\n    y: Y.", "Do.", {"y": "Y."}),
    (
        "second paragraph of a field",
        "Do.\n\n:param x: X.\n\n    More of X.\n:param y: Y.",
        "Do.",
        {"x": "X.\n\nMore of X.", "y": "Y."},
    ),
    ("mixed styles", "Do.\n\nArgs:\n    x: X.\n\n:param y: Y.", "Do.", {"x": "X.", "y": "Y."}),
    ("the first description wins", "Do.\n\nArgs:\n    x: One.\n    x: Two.", "Do.", {"x": "One."}),
    ("a section without content", "Do.\n\nArgs:\n", "Do.", {}),
    ("only arguments", "Args:\n    x: X.", "", {"x": "X."}),
    ("names with other letters", "Tu.\n\nArgs:\n    größe: Höhe in m.", "Tu.", {"größe": "Höhe in m."}),
    ("windows line ends", "Do.\r\n\r\nArgs:\r\n    x: X.\r\n", "Do.", {"x": "X."}),
]


@pytest.mark.parametrize(
    ("text", "description", "parameters"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_docstring_is_read(text, description, parameters):
    found = parse_docstring(text)
    assert (found.description, dict(found.parameters)) == (description, parameters)


@pytest.mark.parametrize("value", [None, 3, b"bytes", object()])
def test_what_is_no_text_is_an_empty_docstring(value):
    assert parse_docstring(value) == Docstring()


def test_odd_text_never_raises_and_takes_linear_time():
    for text in (
        "Args:\n" * 5000,
        ":param " * 20_000,
        "(" * 100_000,
        "x (" * 30_000 + ":",
        "Args:\n    a (" + "[" * 50_000,
    ):
        parse_docstring(text)
    for size in range(len(GOOGLE)):
        parse_docstring(GOOGLE[:size])
        parse_docstring(NUMPY[size:])


MODULES = ["httpx", "jinja2", "rich.console", "rich.progress", "rich.table", "pytest", "anyio", "attr", "jsonschema"]
MODULES += ["pydantic", "pydantic.json_schema", "tenacity", "importlib.metadata", "email.message", "docstring_parser"]
KEYWORDS = {"param", "parameter", "arg", "argument", "key", "keyword"}


def test_public_docstrings_are_read_like_docstring_parser_reads_them():
    """On some thousand docstrings of installed packages: at least 97 % of the parameters, to the word."""
    same = total = 0
    for text in _docstrings_of_packages():
        theirs = {
            item.arg_name.lstrip("*"): _words(item.description)
            for item in docstring_parser.parse(text).params
            if item.args and item.args[0] in KEYWORDS and item.description
        }
        ours = parse_docstring(text).parameters
        total += len(theirs)
        same += sum(_words(ours.get(name)) == words for name, words in theirs.items())
    assert total > 400
    assert same / total > 0.97


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_the_styles_are_read_like_docstring_parser_reads_them(text):
    theirs = {item.arg_name.lstrip("*"): _words(item.description) for item in docstring_parser.parse(text).params}
    ours = {name: _words(words) for name, words in parse_docstring(text).parameters.items()}
    if "guests, children" in theirs:  # one entry for two names, which docstring_parser leaves together
        theirs["guests"] = theirs["children"] = theirs.pop("guests, children")
    assert ours == theirs


def _docstrings_of_packages():
    seen = set()
    for name in MODULES:
        module = import_module(name)
        for item in list(vars(module).values()):
            members = [item, *vars(item).values()] if inspect.isclass(item) else [item]
            for member in members:
                text = member.__doc__ if inspect.isfunction(member) or inspect.isclass(member) else None
                if isinstance(text, str) and text not in seen:
                    seen.add(text)
                    yield text


def _words(text):
    # docstring_parser counts everything up to the next field as the field's text, versionadded notes too
    return re.sub(r"\s+", " ", re.split(r"\.\. \w+::", text or "")[0]).strip()
