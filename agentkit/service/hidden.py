"""Characters that a reader doesn't see, and that do something all the same: what is never shown as it is."""

from __future__ import annotations

HIDDEN = (
    "\x7f-\x9f"  # DEL and C1: \x9b and \x9d are ESC [ and ESC ] in one character
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # Bidi_Control (Unicode TR 9): text that reads in another order
    "\u200b\u2060-\u2064\ufeff"  # no width; ZWNJ and ZWJ, which scripts and emoji need, stay
    "\u2028\u2029"  # line ends to some
    "\ufff9-\ufffb"  # annotations
    "\U000e0000-\U000e007f"  # tags: ASCII that only a model reads
    "\ud800-\udfff"  # lone surrogates, which no encoding takes
)
"""For a character class of `re`, beside the C0 controls that the place in question minds."""


def escaped(character: str) -> str:
    """Return a character as Python writes it: `\\x1b`, `\\u202e`, `\\U000e0041`."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
