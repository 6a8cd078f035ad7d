"""A recording as a stock vcrpy cassette. Pure; what vcrpy has no place for is left out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentkit.cassettes.interaction import Interaction, Recording


def to_vcrpy(recording: Recording) -> dict[str, object]:
    """Return `{"interactions": [...], "version": 1}`, as vcrpy's serializers write it.

    Answers are one block, without times. Exchanges that the connection failed are left out: see `left_out`.
    """
    kept = (interaction for interaction in recording if not _has_no_place(interaction))
    return {"interactions": [_exchange(interaction) for interaction in kept], "version": 1}


def left_out(recording: Recording) -> list[int]:
    """Return the turns, from 1, that vcrpy has no place for."""
    return [index + 1 for index, interaction in enumerate(recording) if _has_no_place(interaction)]


def _has_no_place(interaction: Interaction) -> bool:
    return interaction.status is None or interaction.failure is not None


def _exchange(interaction: Interaction) -> dict[str, object]:
    status = interaction.status or 0
    headers: dict[str, list[str]] = {}
    for name, value in interaction.headers:
        headers.setdefault(name, []).append(value)
    body = bytes(interaction.body)
    return {
        "request": {
            "body": _text_of(body) if body else None,
            "headers": {"content-type": ["application/json"]} if body[:1] in (b"{", b"[") else {},
            "method": interaction.method,
            "uri": interaction.uri,
        },
        "response": {
            "body": {"string": _text_of(interaction.answer)},
            "headers": headers,
            "status": {"code": status, "message": _phrase(status)},
        },
    }


def _text_of(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
