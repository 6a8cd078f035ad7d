"""The line editor of a chat, on prompt_toolkit: several lines, history, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit import history as kept
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style

from agentkit.cli.lines import CONTINUED, PROMPT
from agentkit.cli.terminal import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyPressEvent

    from agentkit.cli.lines import History, Suggest
    from agentkit.cli.terminal import Stream

STYLE = Style.from_dict({"prompt": "bold"})


class EditedLines:
    """Entries from an editor: Enter sends, Alt-Enter or Ctrl-J breaks the line, as does a backslash before Enter."""

    interactive = True

    def __init__(self, notes: Stream, history: History, suggest: Suggest) -> None:
        self._notes = notes
        output = create_output(notes.file)
        if isinstance(output, Vt100_Output):
            output.enable_cpr = False  # a terminal that answers late would answer into the next entry
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", PROMPT)],
            multiline=True,
            prompt_continuation=CONTINUED,
            history=_Remembered(history),
            completer=_Suggested(suggest),
            complete_while_typing=Condition(self._is_command),
            key_bindings=_keys(),
            enable_open_in_editor=True,
            tempfile_suffix=".md",
            reserve_space_for_menu=6,
            style=STYLE,
            color_depth=None if notes.is_colored else ColorDepth.DEPTH_1_BIT,
            output=output,
        )

    def read(self, draft: str = "") -> str:
        """Return the next entry, to be edited from `draft`; raises EOFError and KeyboardInterrupt as `Lines` says."""
        self._notes.break_line()
        try:
            # a draft may be somebody else's text: one that can't be shown as it is, is not put there
            entry = self._session.prompt(default=draft if harmless(draft) == draft else "")
        except KeyboardInterrupt:
            if self._session.default_buffer.text:
                return ""  # a line taken back, not a wish to leave
            raise
        finally:
            self._notes.at_start = True
        return entry

    def _is_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")


class _Remembered(kept.History):
    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def load_history_strings(self) -> Iterable[str]:
        """Return entries, the newest first."""
        return reversed(self._history.load())

    def store_string(self, string: str) -> None:
        """Remember an entry."""
        self._history.add(string)


class _Suggested(Completer):
    def __init__(self, suggest: Suggest) -> None:
        self._suggest = suggest

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield ways to go on."""
        for found in self._suggest(document.text_before_cursor):
            yield Completion(found.text, -found.replaces, display=harmless(found.text), display_meta=found.note)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # the menu's choice stands there already
        elif buffer.document.current_char == "" and buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("c-j")
    @keys.add("escape", "enter")
    def break_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys
