"""The agent: a model with instructions and tools, and the four ways to run it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, cast, overload

from agentkit import json
from agentkit.errors import UsageError
from agentkit.items import File, Image, Item, Text, user_message
from agentkit.limits import Limits
from agentkit.plan import Answering, Result, RunPlan
from agentkit.prompt import Prompt
from agentkit.run import Run, SyncRun, attach
from agentkit.settings import Settings
from agentkit.tools import Tool, Toolset, collect_tools
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeForm, TypeVar

    from agentkit.client import Client
    from agentkit.items import Part
    from agentkit.json import JSONObject
    from agentkit.plan import Observer
    from agentkit.structured import OutputSchema

    OutT = TypeVar("OutT", default=str)
else:
    from typing import TypeVar

    OutT = TypeVar("OutT")

OutputMode: TypeAlias = Literal["json_schema", "tool", "json_object"]
FINAL_TOOL = "final_answer"


class Agent(Generic[OutT]):
    """A model with instructions and tools. Immutable: one agent serves any number of runs at once.

    Raises `UsageError` for mistakes that would surface later: tools that can't be described, more than 128 of
    them, two of one name, an output type without a schema.
    """

    if TYPE_CHECKING:
        model: str
        instructions: str | Prompt | Callable[..., str] | None
        tools: tuple[Tool[..., object], ...]
        deps_type: type | None
        output_type: TypeForm[OutT]
        output_mode: OutputMode
        output_retries: int
        settings: Settings
        client: Client | None
        limits: Limits

    @overload
    def __init__(
        self: Agent[str],
        *,
        model: str,
        instructions: str | Prompt | Callable[..., str] | None = None,
        tools: Iterable[Tool[..., object] | Callable[..., object] | Toolset] | Toolset = (),
        deps_type: type | None = None,
        output_mode: OutputMode = "json_schema",
        output_retries: int = 2,
        settings: Settings | None = None,
        client: Client | None = None,
        limits: Limits | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        model: str,
        instructions: str | Prompt | Callable[..., str] | None = None,
        tools: Iterable[Tool[..., object] | Callable[..., object] | Toolset] | Toolset = (),
        deps_type: type | None = None,
        output_type: TypeForm[OutT],
        output_mode: OutputMode = "json_schema",
        output_retries: int = 2,
        settings: Settings | None = None,
        client: Client | None = None,
        limits: Limits | None = None,
    ) -> None: ...

    def __init__(
        self,
        *,
        model: str,
        instructions: str | Prompt | Callable[..., str] | None = None,
        tools: Iterable[Tool[..., object] | Callable[..., object] | Toolset] | Toolset = (),
        deps_type: type | None = None,
        output_type: TypeForm[OutT] = str,  # type: ignore[assignment]  # the overload without it says str
        output_mode: OutputMode = "json_schema",
        output_retries: int = 2,
        settings: Settings | None = None,
        client: Client | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Describe an agent.

        Args:
            model: The model's name, sent as written.
            instructions: Text, sent as it is; a `Prompt`, filled from the run's deps; or a function of the deps.
            tools: Functions decorated with `@tool`, plain functions, or toolsets.
            deps_type: What a run's `deps` must be an instance of; tools see it as `ctx.deps`.
            output_type: What the answer is: `str`, or any type that pydantic has a schema for.
            output_mode: How another type than str is asked for: with `text.format` `json_schema`, with a tool
                for servers that take no schema, or as `json_object` with the schema in the instructions.
            output_retries: How many wrong answers are sent back to the model with the reason.
            settings: Body fields of the requests.
            client: The server; None: the one of the environment, see `Client.from_env`.
            limits: Where a run stops.
        """
        _check_type("deps_type", deps_type)
        if not isinstance(model, str) or not model:
            raise UsageError(f"model={model!r}; give the model's name as the server spells it.")
        if output_mode not in ("json_schema", "tool", "json_object"):
            raise UsageError(f"output_mode={output_mode!r}; allowed are 'json_schema', 'tool' and 'json_object'.")
        if isinstance(output_retries, bool) or not isinstance(output_retries, int) or output_retries < 0:
            raise UsageError(f"output_retries={output_retries!r}; allowed is a whole number, not negative.")
        if instructions is not None and not isinstance(instructions, str | Prompt) and not callable(instructions):
            raise UsageError(
                f"instructions is a {type(instructions).__name__}; give text, a Prompt, or a function of the deps."
            )
        _check_kind("client", client)
        _check_kind("settings", settings)
        _check_kind("limits", limits)
        self._options: dict[str, object] = {
            "model": model,
            "instructions": instructions,
            "tools": collect_tools([tools] if isinstance(tools, Toolset) else tools),
            "deps_type": deps_type,
            "output_type": output_type,
            "output_mode": output_mode,
            "output_retries": output_retries,
            "settings": settings or Settings(),
            "client": client,
            "limits": limits or Limits(),
        }
        self.__dict__.update(self._options)
        self.__dict__["_output"] = None if output_type is str else _output_schema(output_type)
        self.__dict__["_offered"] = self._offer()
        self._check_choice(self.settings)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_options":
            self.__dict__[name] = value
            return
        raise AttributeError(f"an Agent doesn't change: {name!r} can't be set. Use agent.replace({name}=...).")

    def replace(self, **changes: object) -> Agent[OutT]:
        """Return an agent that differs in these arguments."""
        unknown = changes.keys() - self._options.keys()
        if unknown:
            raise UsageError(f"an Agent has no {', '.join(sorted(unknown))}; it has {', '.join(self._options)}.")
        return cast("Agent[OutT]", Agent(**{**self._options, **changes}))  # type: ignore[call-overload]

    async def run(
        self,
        input: Input = None,
        *,
        transcript: Transcript | None = None,
        deps: object = None,
        client: Client | None = None,
        settings: Settings | None = None,
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
    ) -> Result[OutT]:
        """Run to the answer.

        Args:
            input: Text, a part or parts (`Text`, `Image`, `File`), items, or None to go on from the transcript.
            transcript: The conversation so far, of an earlier `result.transcript`.
            deps: What tools see as `ctx.deps`, and a `Prompt` is filled from.
            client: The server for this run.
            settings: Settings that go over the agent's.
            limits: Limits instead of the agent's.
            observers: Functions, sync or async, called with each entry before anything else happens. An
                exception of one ends the run.

        Raises:
            RunStopped: There is no answer: a limit, a refusal, a cut or failed response, an invalid output.
            StatusError, TransportError, ProtocolError: The request failed for good.
            UsageError: A mistake in the call. Every error carries `.transcript`.
        """
        run = self._new_run(input, transcript, deps, client, settings, limits, observers, stream=False)
        async with run:
            async for _ in run:
                pass
        return run.result

    def run_sync(
        self,
        input: Input = None,
        *,
        transcript: Transcript | None = None,
        deps: object = None,
        client: Client | None = None,
        settings: Settings | None = None,
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
    ) -> Result[OutT]:
        """Run to the answer, outside of async code or inside a notebook; see `run`."""
        from agentkit.portal import run_blocking

        return run_blocking(
            functools.partial(
                self.run,
                input,
                transcript=transcript,
                deps=deps,
                client=client,
                settings=settings,
                limits=limits,
                observers=observers,
            )
        )

    def stream(
        self,
        input: Input = None,
        *,
        transcript: Transcript | None = None,
        deps: object = None,
        client: Client | None = None,
        settings: Settings | None = None,
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
    ) -> Run[OutT]:
        """Return a run to iterate inside `async with`; see `run` for the arguments."""
        return self._new_run(input, transcript, deps, client, settings, limits, observers, stream=True)

    def stream_sync(
        self,
        input: Input = None,
        *,
        transcript: Transcript | None = None,
        deps: object = None,
        client: Client | None = None,
        settings: Settings | None = None,
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
    ) -> SyncRun[OutT]:
        """Return a run to iterate inside `with`; see `run` for the arguments."""
        return SyncRun(self._new_run(input, transcript, deps, client, settings, limits, observers, stream=True))

    def _new_run(
        self,
        input: Input,
        transcript: Transcript | None,
        deps: object,
        client: Client | None,
        settings: Settings | None,
        limits: Limits | None,
        observers: Sequence[Observer],
        *,
        stream: bool,
    ) -> Run[OutT]:
        if transcript is not None and not isinstance(transcript, Transcript):
            raise UsageError(f"transcript is a {type(transcript).__name__}; give result.transcript, or from_items.")
        begun = transcript or Transcript()
        try:
            _check_kind("client", client)
            _check_kind("settings", settings)
            _check_kind("limits", limits)
            self._check_deps(deps)
            effective = self.settings.overlaid(settings)
            self._check_choice(effective)
            return Run(
                RunPlan(
                    model=self.model,
                    instructions=self._render_instructions(deps),
                    new_items=input_items(input),
                    transcript=begun,
                    tools=self._offered,
                    deps=deps,
                    find_client=lambda: client or self.client or _shared_client(),
                    settings=effective,
                    limits=limits or self.limits,
                    observers=_checked_observers(observers),
                    answering=self._answering,
                    stream=stream if effective.stream is None else effective.stream,
                )
            )
        except Exception as exc:
            attach(exc, begun)
            raise

    def _check_deps(self, deps: object) -> None:
        wanted = self.deps_type
        if wanted is None:
            return
        if deps is None:
            raise UsageError(f"this agent takes deps of type {wanted.__name__}, and the run has none. Give deps=...")
        with contextlib.suppress(TypeError):  # a Protocol or a generic alias can't be checked at run time
            if not isinstance(deps, wanted):
                raise UsageError(f"deps is a {type(deps).__name__}; this agent takes {wanted.__name__}.")

    def _check_choice(self, settings: Settings) -> None:
        choice = settings.choice()
        name = choice.get("name") if isinstance(choice, dict) and choice.get("type") == "function" else None
        if name is not None and name not in self._offered:
            known = ", ".join(self._offered) or "none"
            raise UsageError(f"tool_choice={settings.tool_choice!r} names no tool of this agent; it has {known}.")
        if choice == "required" and not self._offered:
            raise UsageError("tool_choice='required', and this agent has no tools. Give it some.")

    def _render_instructions(self, deps: object) -> str | None:
        given = self.instructions
        if isinstance(given, Prompt):
            text: str | None = given.render(deps)
        elif callable(given):
            text = _checked_text(given(deps))
        else:
            text = given
        if self._output is not None and self.output_mode == "json_object":
            # "json_object demands the word JSON in the context" (OpenAI, structured outputs guide)
            schema = json.encode(self._output.schema).decode()
            demand = f"Answer with one JSON object that matches this JSON schema: {schema}"
            text = f"{text}\n\n{demand}" if text else demand
        return text

    @functools.cached_property
    def _answering(self) -> Answering[OutT]:
        output = self._output
        if output is None:
            return Answering(None, cast("Callable[[str], OutT]", str), 0)
        if self.output_mode == "tool":
            return Answering(None, output.parse, self.output_retries, f"Call {FINAL_TOOL} with the answer.")
        if self.output_mode == "json_object":
            return Answering({"type": "json_object"}, output.parse, self.output_retries, _AGAIN)
        text_format: JSONObject = {
            "type": "json_schema",
            "name": output.name,
            "schema": output.schema,
            "strict": output.strict,
        }
        return Answering(text_format, output.parse, self.output_retries, _AGAIN)

    def _offer(self) -> Mapping[str, Tool[..., object]]:
        offered = {tool.name: tool for tool in self.tools}
        output = self._output
        if output is None or self.output_mode != "tool":
            return offered
        if FINAL_TOOL in offered:
            raise UsageError(f"output_mode='tool' offers a tool named {FINAL_TOOL!r} of its own. Rename yours.")
        final = Tool.from_schema(
            FINAL_TOOL,
            "Give the final answer.",
            output.schema,
            lambda **answer: answer,
            final=True,
            strict=output.strict,
        )
        collect_tools([*self.tools, final])
        return {**offered, FINAL_TOOL: final}

    def __repr__(self) -> str:
        return f"Agent(model={self.model!r}, tools=[{', '.join(tool.name for tool in self.tools)}])"

    if TYPE_CHECKING:
        _options: dict[str, object]
        _output: OutputSchema[OutT] | None
        _offered: Mapping[str, Tool[..., object]]


_AGAIN = "Answer again, with the whole corrected JSON and nothing else."

if TYPE_CHECKING:
    Input: TypeAlias = "str | Part | Item | Sequence[str | Part | Item] | None"


def _check_type(name: str, value: object) -> None:
    if value is not None and not isinstance(value, type) and typing.get_origin(value) is None:
        raise UsageError(f"{name} is {value!r}; give the class that deps are instances of.")


def _checked_text(text: object) -> str:
    if isinstance(text, str):
        return text
    if inspect.iscoroutine(text):
        text.close()
    raise UsageError(f"instructions returned a {type(text).__name__}; a plain function of deps returns text.")


def _checked_observers(observers: object) -> tuple[Observer, ...]:
    listed = tuple(observers) if isinstance(observers, Iterable) else None
    if listed is None or not all(map(callable, listed)):
        raise UsageError(f"observers is {observers!r}; give a list of functions that take an entry.")
    return listed


def _check_kind(name: str, value: object) -> None:
    """Refuse an option of the wrong type, as which it would surface in the middle of a run."""
    if value is None:
        return
    if name == "client":
        from agentkit.client import Client

        kind: type = Client
    else:
        kind = Settings if name == "settings" else Limits
    if not isinstance(value, kind):
        advice = f"{kind.__name__}(...)"
        if callable(value):
            advice = f"what {getattr(value, '__name__', 'it')}(...) returns"  # ScriptedModel([...]).client, uncalled
        elif callable(getattr(value, "client", None)):
            advice = "model.client()"  # a ScriptedModel
        raise UsageError(f"{name} is {value!r}; give {advice}.")


def input_items(value: object) -> list[Item]:
    """Return what a run was given as items; parts become one user message."""
    if value is None:
        return []
    if isinstance(value, str):
        return [user_message(value)]
    if isinstance(value, Text | Image | File):
        return [user_message([value])]
    if isinstance(value, Mapping):
        return [cast("Item", dict(value))]
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        if not value:
            raise UsageError("input is an empty list. Give text, parts or items, or None to go on from the transcript.")
        if all(isinstance(member, Mapping) for member in value):
            return [cast("Item", dict(member)) for member in value]
        parts = [Text(member) if isinstance(member, str) else member for member in value]
        wrong = next((i for i, part in enumerate(parts) if not isinstance(part, Text | Image | File)), None)
        if wrong is None:
            return [user_message(parts)]
        raise UsageError(f"input[{wrong}] is a {type(value[wrong]).__name__}; give either parts or items in one list.")
    raise UsageError(f"input is a {type(value).__name__}; give text, a part, parts, items, or None.")


def _output_schema(output_type: TypeForm[OutT]) -> OutputSchema[OutT]:
    from agentkit.structured import OutputSchema

    try:
        return OutputSchema(output_type)
    except UsageError:
        raise
    except Exception as exc:  # pydantic raises what it likes for what is no type
        raise UsageError(f"output_type is {output_type!r}; give str, or a type that pydantic reads from JSON.") from exc


def _shared_client() -> Client:
    from agentkit.client import shared_client

    return shared_client()
