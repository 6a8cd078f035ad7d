"""The items of a conversation, as the wire has them: plain JSON objects told apart by `type`.

Items stay dicts from the socket to the socket, so that nothing a server adds is lost. This module builds
the ones that we write, and answers the few questions that the loop asks of the ones that we read.
"""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit import json
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    from agentkit.json import JSONObject

Item: TypeAlias = "JSONObject"

MAX_CALL_ID = 64
"""Longest `call_id` that goes out (Open Responses: 1..64 characters)."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text in an input."""

    text: str
    """The text."""

    def __post_init__(self) -> None:
        _check_text("Text", self.text)

    def to_part(self) -> JSONObject:
        """Return `{"type": "input_text", "text": ...}`."""
        return {"type": "input_text", "text": self.text}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in an input or a tool's output."""

    url: str
    """A `data:` URL, or an address that the server fetches; it is never fetched here."""

    detail: Literal["auto", "low", "high"] | None = None
    """How closely the model should look; sent only when set."""

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, detail: Literal["auto", "low", "high"] | None = None) -> Image:
        """Read a picture from a file into a `data:` URL; its first bytes say what it is, or else its name."""
        data, media_type = _read(path)
        return cls.from_bytes(data, media_type=_sniff_image(data) or media_type, detail=detail)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        media_type: str | None = None,
        detail: Literal["auto", "low", "high"] | None = None,
    ) -> Image:
        """Wrap an encoded picture (PNG, JPEG, GIF, WebP ...); `media_type` is seen from its first bytes."""
        _check_bytes("Image", data)
        media_type = media_type or _sniff_image(data)
        if media_type is None or not media_type.startswith("image/"):
            raise UsageError(
                f"not a picture: media type {media_type!r}, first bytes {data[:8]!r}. "
                'Give media_type="image/..." if it is one.'
            )
        return cls(_data_url(data, media_type), detail)

    @classmethod
    def from_url(cls, url: str, *, detail: Literal["auto", "low", "high"] | None = None) -> Image:
        """Name a picture by its address, sent as given. Servers that take data URLs only refuse it."""
        if not isinstance(url, str) or not url.startswith(("http://", "https://", "data:")):
            raise UsageError(f"{repr(url)[:80]} is no http, https or data URL. For a file use Image.from_path(...).")
        return cls(url, detail)

    def to_part(self) -> JSONObject:
        """Return `{"type": "input_image", "image_url": ...}`, with `detail` where it is set."""
        part: JSONObject = {"type": "input_image", "image_url": self.url}
        if self.detail is not None:
            part["detail"] = self.detail
        return part

    def __repr__(self) -> str:
        return f"Image({self.url[:40] + '...' if len(self.url) > 43 else self.url!r})"


@dataclass(frozen=True, slots=True)
class File:
    """A document in an input or a tool's output."""

    filename: str | None = None
    """The name shown to the model."""

    data: str | None = None
    """The content as a `data:` URL."""

    url: str | None = None
    """An address that the server fetches, instead of `data`."""

    @classmethod
    def from_path(cls, path: str | PathLike[str]) -> File:
        """Read a document from a file."""
        data, media_type = _read(path)
        return cls.from_bytes(data, filename=Path(path).name, media_type=media_type)

    @classmethod
    def from_bytes(cls, data: bytes, *, filename: str, media_type: str | None = None) -> File:
        """Wrap a document; the media type comes from the name unless given."""
        _check_bytes("File", data)
        if not isinstance(filename, str) or not filename:
            raise UsageError(f"filename={filename!r}; give the name that the model is to see, such as 'report.pdf'.")
        guessed = media_type or mimetypes.guess_type(filename)[0] or "application/octet-stream"
        return cls(filename=filename, data=_data_url(data, guessed))

    @classmethod
    def from_url(cls, url: str, *, filename: str | None = None) -> File:
        """Name a document by its address, sent as given."""
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise UsageError(f"{repr(url)[:80]} is no http or https URL. For a file use File.from_path(...).")
        return cls(filename=filename, url=url)

    def to_part(self) -> JSONObject:
        """Return `{"type": "input_file", ...}` with the fields that are set."""
        part: JSONObject = {"type": "input_file"}
        if self.filename is not None:
            part["filename"] = self.filename
        if self.data is not None:
            part["file_data"] = self.data
        if self.url is not None:
            part["file_url"] = self.url
        return part

    def __repr__(self) -> str:
        return f"File({self.filename or self.url!r})"


Part: TypeAlias = Text | Image | File


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A typed view of a `function_call` item."""

    call_id: str
    """What the output must name. As received: it may be empty, over-long, or used twice."""

    name: str
    """The function that the model asks for; it need not exist."""

    arguments: str
    """The arguments as the model wrote them: JSON text, if all is well."""


def user_message(content: str | Sequence[Part]) -> Item:
    """Return a user message; plain text stays a string, parts become a list.

    Raises `UsageError` for text that UTF-8 can't carry, with the position: strict servers refuse it, and then
    every later request of the conversation.
    """
    if isinstance(content, str):
        _check_text("the prompt", content)
    body: str | list[JSONObject] = content if isinstance(content, str) else [part.to_part() for part in content]
    return {"type": "message", "role": "user", "content": body}  # type: ignore[dict-item]


def function_call_output(call_id: str, output: str | Sequence[JSONObject]) -> Item:
    """Return `{"type": "function_call_output", "call_id": ..., "output": ...}`."""
    content: str | list[JSONObject] = output if isinstance(output, str) else list(output)
    return {"type": "function_call_output", "call_id": call_id, "output": content}  # type: ignore[dict-item]


def is_message(item: Item) -> bool:
    """Tell whether this is a message; OpenAI lets one go without its type."""
    return item.get("type") == "message" or (item.get("type") is None and "role" in item)


def is_output(item: Item) -> bool:
    """Tell whether a server wrote this item (as against the caller's messages and tool outputs)."""
    kind = item.get("type")
    if is_message(item):
        return item.get("role") == "assistant"
    return not (isinstance(kind, str) and kind.endswith(("_output", "_response")))


def is_half_written(item: Item) -> bool:
    """Tell whether this is a call that the server cut off while writing it."""
    return item.get("type") == "function_call" and item.get("status") == "incomplete"


def call_view(item: Item) -> FunctionCall:
    """Return the typed view of a `function_call` item; fields of a wrong type read as empty."""
    return FunctionCall(_string(item.get("call_id")), _string(item.get("name")), _arguments(item.get("arguments")))


def message_text(item: Item) -> str:
    """Return the text of a message item: its string, or its text parts joined."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "".join(_string(part.get("text")) for part in _parts(content, "output_text", "input_text", "text"))


def message_refusal(item: Item) -> str | None:
    """Return what a message says in refusal parts, or None where it has none."""
    refusals = [_string(part.get("refusal")) for part in _parts(item.get("content"), "refusal")]
    return "".join(refusals) if refusals else None


def reasoning_text(item: Item) -> str:
    """Return the readable thoughts of a reasoning item: its content, else its summary."""
    return "".join(
        _string(part.get("text")) for part in _parts(item.get("content"), "reasoning_text", "output_text", "text")
    ) or "\n".join(_string(part.get("text")) for part in _parts(item.get("summary"), "summary_text"))


def with_message_type(items: Iterable[Item]) -> list[Item]:
    """Return items with `type: "message"` on those that left it out, or null.

    OpenAI lets a message omit it; the Open Responses specification requires it on every item.
    """
    return [_typed(item) if item.get("type") is None and "role" in item else item for item in items]


def _typed(item: Item) -> Item:
    return {"type": "message", **{name: value for name, value in item.items() if name != "type"}}


def _parts(content: object, *kinds: str) -> list[JSONObject]:
    if not isinstance(content, list):
        return []
    return [part for part in content if isinstance(part, dict) and part.get("type") in kinds]


def _check_text(what: str, text: object) -> None:
    if not isinstance(text, str):
        raise UsageError(f"{what} is a {type(text).__name__}; give a string.")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(
            f"{what} holds {text[exc.start]!r} at position {exc.start}: half of a character, which UTF-8 can't carry. "
            'Decode the text rightly where it comes from, or clean it: text.encode(errors="replace").decode().'
        ) from exc


def _check_bytes(what: str, data: object) -> None:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"{what}.from_bytes takes bytes, found a {type(data).__name__}. For a path use from_path.")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    """Some servers send the object itself instead of its text; it is checked as if it were the text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.encode(value).decode()


def _read(path: str | PathLike[str]) -> tuple[bytes, str | None]:
    try:
        return Path(path).read_bytes(), mimetypes.guess_type(str(path))[0]
    except OSError as exc:
        raise UsageError(f"can't read {str(path)!r}: {exc.strerror or exc}. Give the path of a readable file.") from exc


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _sniff_image(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"BM"):
        return "image/bmp"
    return None
