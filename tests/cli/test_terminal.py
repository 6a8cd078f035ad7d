from __future__ import annotations

import io
import json
import os
import re

import pytest

from agentkit.cli.terminal import ASCII, Prints, Stream, fit, harmless, harmless_json, one_line, wants_color


class Tty(io.StringIO):
    """A terminal that keeps what it was sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("emoji 👩‍👩‍👧 and 日本語", "emoji 👩‍👩‍👧 and 日本語"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]52;c;ZXZpbA==\x07", "\\x1b]52;c;ZXZpbA==\\x07"),
        ("\x1b]8;;http://evil.test\x1b\\link", "\\x1b]8;;http://evil.test\\x1b\\link"),
        ("\x9b31m \x9d0;title\x9c", "\\x9b31m \\x9d0;title\\x9c"),
        ("a\x08b\x0c\x0bc\x7f\x00", "a\\x08b\\x0c\\x0bc\\x7f\\x00"),
        ("admin\u202egnp.exe", "admin\\u202egnp.exe"),
        ("\u2066\u2069\u200e\u200f\u061c", "\\u2066\\u2069\\u200e\\u200f\\u061c"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("safe\rover it", "safe\\x0dover it"),
        ("half \ud83d pair", "half \\ud83d pair"),
    ],
)
def test_controls_are_shown_instead_of_obeyed(given: str, shown: str) -> None:
    assert harmless(given) == shown


def test_a_sequence_spread_over_deltas_is_harmless() -> None:
    """Cut at every position, no piece keeps a control character."""
    text = "a\x1b]0;title\x07b\x1b[2J\u202ec\x9b1m"
    for cut in range(len(text) + 1):
        shown = harmless(text[:cut]) + harmless(text[cut:])
        assert shown == "a\\x1b]0;title\\x07b\\x1b[2J\\u202ec\\x9b1m"


def test_every_control_character_and_bidi_control_is_covered() -> None:
    import unicodedata

    left = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cs")}
    kept = {char for char in left if harmless(f"{char}x") == f"{char}x"}
    assert kept == {"\n", "\t"}


def test_json_stays_the_same_value() -> None:
    value = {"a": "\x1b[31m\x7f\x9b\u202e\ud83d\r\n", "b": "日本"}
    text = harmless_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert harmless(text) == text
    assert "日本" in text


def test_one_line_has_no_line_ends() -> None:
    assert one_line(" a\r\n  b\x85c\u2028d\x1b\t") == "a b c d\\x1b"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("word and", 6, "word…"),
        ("x" * 100_000, 3, "xx…"),
        ("", 0, ""),
    ],
)
def test_text_is_cut_by_what_it_takes_on_the_screen(text: str, columns: int, shown: str) -> None:
    assert fit(text, columns) == shown


@pytest.mark.parametrize(
    ("file", "environ", "colored"),
    [
        (Tty(), {"TERM": "xterm"}, True),
        (Tty(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Tty(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
        (io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(file: io.StringIO, environ: dict[str, str], colored: bool) -> None:
    assert wants_color(file, environ) is colored


def test_a_stream_knows_where_its_line_stands() -> None:
    file = io.StringIO()
    stream = Stream(file, {})
    stream.write("text")
    stream.line("a line")
    stream.break_line()
    stream.write("end")
    assert file.getvalue() == "text\na line\nend"


def test_paragraphs_break_between_words_on_a_terminal_only() -> None:
    words = "word " * 40
    screen, log = Tty(), io.StringIO()
    Stream(screen, {}).paragraph(words)
    Stream(log, {}).paragraph(words)
    assert max(map(len, screen.getvalue().splitlines())) <= 80
    assert log.getvalue() == words + "\n"


def test_a_reader_that_left_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as file:
        stream = Stream(file, {})
        stream.write("nobody reads this")
        stream.write("nor this")


def test_signs_are_ascii_where_the_encoding_has_no_others() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert Stream(file, {}).glyphs == ASCII
    file.close()


def test_prints_get_lines_of_their_own() -> None:
    file = io.StringIO()
    notes = Stream(file, {})
    prints = Prints(notes, file)
    notes.write("> slow()")
    print("one", "two", file=prints)  # type: ignore[call-overload]
    print("three", file=prints)  # type: ignore[call-overload]
    assert file.getvalue() == "> slow()\none two\nthree\n"
    assert prints.isatty() is False  # type: ignore[operator]


def test_styles_end_before_the_line_does() -> None:
    screen = Tty()
    Stream(screen, {"TERM": "xterm"}).line("dim", "dim")
    assert re.fullmatch(r"\x1b\[2mdim\x1b\[0m\n", screen.getvalue())


@pytest.mark.parametrize(
    ("text", "shown", "as_json"),
    [
        ("a\u200bb", "a\\u200bb", "a\\u200bb"),
        ("\u2060\u2064\ufeff", "\\u2060\\u2064\\ufeff", "\\u2060\\u2064\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029", "\\u2028\\u2029"),
        ("\ufff9\ufffb", "\\ufff9\\ufffb", "\\ufff9\\ufffb"),
        ("\U000e0041", "\\U000e0041", "\\udb40\\udc41"),
        ("\x7f\x1b", "\\x7f\\x1b", "\\u007f\\u001b"),
        ("\u200c\u200d", "\u200c\u200d", "\u200c\u200d"),
    ],
)
def test_hidden_characters_are_shown(text: str, shown: str, as_json: str) -> None:
    """Tags are ASCII that only a model reads; what scripts and emoji need stays."""
    assert (harmless(text), harmless_json(text)) == (shown, as_json)


def test_a_hint_leaves_nothing_behind() -> None:
    screen, log = Tty(), io.StringIO()
    for file in (screen, log):
        stream = Stream(file, {})
        stream.hint("GET /models")
        stream.line("done")
    assert screen.getvalue() == "GET /models\r           \rdone\n"
    assert log.getvalue() == "done\n"
