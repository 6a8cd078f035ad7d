"""What a test's cassette is opened with: the configuration, the fixture `cassette_settings`, and markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

OPTIONS = frozenset({"path", "mode", "tools", "match", "scrub", "ignore", "speed", "patch", "timings"})


def settings_of(config: pytest.Config, settings: Mapping[str, object]) -> dict[str, object]:
    """Return what holds for all cassettes. Raises `UsageError` for an option that is none."""
    configured = {
        "timings": config.getini("cassettes_timings"),
        "ignore": tuple(config.getini("cassettes_ignore")),
        "scrub": tuple(config.getini("cassettes_scrub")),
    }
    return configured | checked(settings, "the fixture cassette_settings: ")


def options_of(item: pytest.Item, settings: Mapping[str, object]) -> dict[str, object]:
    """Return a test's options: of markers the nearest counts, key by key. Raises `UsageError`."""
    options = settings_of(item.config, settings)
    for marker in reversed(list(item.iter_markers("cassette"))):
        options.update(_marker_options(marker))
    return options


def check_markers(item: pytest.Item) -> None:
    """Raise `UsageError` for values that no cassette takes, before any test has run."""
    if any(marker.args or marker.kwargs for marker in item.iter_markers("cassette")):
        from agentkit.cassettes.session import Cassette

        Cassette(**{"path": "x.yaml", **options_of(item, {})})  # type: ignore[arg-type]


def _marker_options(marker: pytest.Mark) -> dict[str, object]:
    if len(marker.args) > 1:
        raise UsageError(f"it takes one path, and options by name; it got {marker.args!r}.")
    given: dict[str, object] = dict(marker.kwargs)
    if marker.args:
        given["path"] = marker.args[0]
    return checked(given)


def checked(options: Mapping[str, object], where: str = "") -> dict[str, object]:
    """Return options, if they are such. Raises `UsageError`, which begins with `where`."""
    if unknown := ", ".join(map(repr, sorted(options.keys() - OPTIONS))):
        raise UsageError(f"{where}no option is {unknown}; allowed are {', '.join(sorted(OPTIONS))}.")
    return dict(options)
