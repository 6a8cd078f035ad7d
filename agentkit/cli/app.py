"""The commands and their options, on click. What they do is in the modules around this one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

import agentkit
from agentkit.cli.cassettes.commands import cassettes
from agentkit.cli.parameters import FILE, IGNORE, SCRUB, complete_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run_app(args: Sequence[str] | None = None) -> int:
    """Run the command with these arguments and return its exit code."""
    try:
        code = app.main(args=args, prog_name="agentkit", standalone_mode=False)
    except click.Abort:
        return 130
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    return code if isinstance(code, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(agentkit.__version__, message="agentkit %(version)s")
def app() -> None:
    """Agents that call tools, on the stateless Responses API."""


@app.command(
    epilog="""
    \b
    Examples:
      agentkit run examples/02_tools.py "Do I need a coat in Oslo?"
      agentkit run agent.py --save talk.json "Find the three largest files."
      agentkit run agent.py --continue talk.json --save talk.json "And the oldest?"
      git diff | agentkit run reviewer.py - > review.txt
      agentkit run agent.py --json "..." | jq .usage
      agentkit run agent.py --cassette trip.yaml --from-turn 3 "And by train?"

    \b
    Exit codes:
      0    there is an answer
      1    the run failed: the server, a limit, a refusal, an exception
      2    a mistake in the command, the file, or what the agent was given
      130  Ctrl-C; after another signal 128 plus its number
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.argument("prompt", required=False)
@click.option("--save", type=FILE, help="Write the conversation to this file, however the run ends.")
@click.option("--continue", "continued", type=FILE, help="Go on from a conversation that --save wrote.")
@click.option("--cassette", type=FILE, help="Run in this cassette; AGENTKIT_CASSETTES says how, by default it replays.")
@IGNORE
@SCRUB
@click.option("--from-turn", type=int, metavar="K", help="Take the cassette's turns up to K as given, and go on live.")
@click.option("--rerun-tools", is_flag=True, help="Run the calls of turn K anew, with the tools as they are.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead, errors included.")
@click.option("--reasoning", is_flag=True, help="Show the model's reasoning, dimmed.")
@click.option("--model", help="Ask this model instead of the agent's.")
@click.option("--base-url", metavar="URL", help="Ask this server, with the key in AGENTKIT_API_KEY if set.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Stop after so many responses.")
def run(
    file: str,
    prompt: str | None,
    save: Path | None,
    continued: Path | None,
    cassette: Path | None,
    ignore: tuple[str, ...],
    scrub: tuple[str, ...],
    from_turn: int | None,
    rerun_tools: bool,
    as_json: bool,
    reasoning: bool,
    model: str | None,
    base_url: str | None,
    max_turns: int | None,
) -> int:
    """Run the agent of a Python file on PROMPT.

    FILE is a path or a module (package.module). AGENT is the variable that holds the agent: needed only
    where there are several, and none of them is called agent. PROMPT may be - for stdin.

    Next to the agent, the file may define client, the server to ask where the agent has none of its own,
    and must define deps if the agent has a deps_type; both may be functions. AGENTKIT_LIVE=1 sets a scripted
    model aside for the server of the environment, and the agent's model for AGENTKIT_MODEL.

    The answer goes to stdout. Tool calls, warnings and the last line (turns, tokens, speed, time) go to
    stderr, and so do the prints of the file and its tools. On a terminal the text is shown as it comes,
    elsewhere once it is whole. Control characters in it are shown as escapes (\\x1b); --json has them exactly.

    With --from-turn, what was recorded is taken as it is, for free, up to and with turn K as agentkit cassettes show
    counts; from there on the file's own instructions and tools go on. Where turn K was an answer, PROMPT is said
    next (by default what was said there); in the middle of a run, and with K 0, it takes the place of the prompt.
    """
    from agentkit.cli.running import RunOptions, run_agent

    return run_agent(
        RunOptions(
            target=file,
            prompt=prompt,
            as_json=as_json,
            save=save,
            continued=continued,
            cassette=cassette,
            ignore=ignore,
            scrub=scrub,
            from_turn=from_turn,
            rerun_tools=rerun_tools,
            reasoning=reasoning,
            model=model,
            base_url=base_url,
            max_turns=max_turns,
        )
    )


@app.command(
    epilog="""
    \b
    Examples:
      agentkit chat examples/05_conversation.py
      agentkit chat agent.py --save talk.json
      agentkit chat agent.py --continue talk.json --save talk.json
      printf 'Hi!\\n/usage\\n' | agentkit chat agent.py

    \b
    Exit codes:
      0    the chat was ended
      1    a message failed and stdin is no terminal; the conversation or an answer can't be written
      2    a mistake in the command or the file
      130  Ctrl-C in a script; after another signal 128 plus its number
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.option("--save", type=FILE, help="Write the conversation to this file after each answer.")
@click.option("--continue", "continued", type=FILE, help="Go on from a conversation that --save wrote.")
@click.option("--reasoning", is_flag=True, help="Show the model's reasoning, dimmed.")
@click.option("--model", help="Ask this model instead of the agent's.")
@click.option("--base-url", metavar="URL", help="Ask this server, with the key in AGENTKIT_API_KEY if set.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Stop each answer after so many responses.")
def chat(
    file: str,
    save: Path | None,
    continued: Path | None,
    reasoning: bool,
    model: str | None,
    base_url: str | None,
    max_turns: int | None,
) -> int:
    """Talk with the agent of a Python file.

    FILE, AGENT and what the file may define are as in agentkit run; deps are made once for the whole chat.

    Enter sends. A backslash before it, Alt-Enter or Ctrl-J breaks the line, and pasted lines stay together.
    Ctrl-C stops an answer: the conversation stays in order, with your message, and the calls that were
    running as cancelled. Ctrl-D ends. What begins with a slash is for the chat: /help lists what there is,
    such as /undo, /fork, /save and /tools. Tab completes commands, files, turns and tools.

    After an error the chat goes on: /retry asks again, /undo takes the message back. What you say is
    remembered in $XDG_STATE_HOME/agentkit/chat_history (by default below ~/.local/state), mode 0600.

    Where stdin is no terminal, each of its lines is a message or a command, and stdout gets the answers only.
    """
    from agentkit.cli.chat import ChatOptions
    from agentkit.cli.chat import chat as talk

    return talk(
        ChatOptions(
            target=file,
            save=save,
            continued=continued,
            reasoning=reasoning,
            model=model,
            base_url=base_url,
            max_turns=max_turns,
        )
    )


@app.command(
    epilog="""
    \b
    Examples:
      agentkit tools examples/02_tools.py
      agentkit tools agent.py --json | jq '.[].name'

    \b
    Exit codes:
      0    listed
      1    the list can't be written
      2    a mistake in the command, the file, or a tool
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.option("--json", "as_json", is_flag=True, help="Write the definitions as requests hold them.")
def tools(file: str, as_json: bool) -> int:
    """List the tools of an agent: what they do, what they take, and what the loop makes of them.

    Strict tools are sent with strict: true, which makes servers that can hold the model to the schema. For
    others it is said why not.
    """
    from agentkit.cli.catalogue import list_tools

    return list_tools(file, as_json=as_json)


@app.command(
    epilog="""
    \b
    Examples:
      agentkit replay cassettes/test_weather/test_oslo.yaml
      agentkit replay trip.yaml --speed 2
      agentkit replay trip.yaml > answer.txt

    \b
    Exit codes:
      0    played to the end, or as far as was wanted
      2    a mistake in the command or the file
      130  Ctrl-C; after another signal 128 plus its number
    """
)
@click.argument("file", type=FILE, shell_complete=complete_file)
@click.option(
    "--speed", type=click.FloatRange(min=0), help="Don't wait for keys; 1: as it came, 2: twice as fast, 0: at once."
)
@click.option("--reasoning", is_flag=True, help="Show the model's reasoning, dimmed.")
def replay(file: Path, speed: float | None, reasoning: bool) -> int:
    """Play a recorded run: its text as it came, its tool calls and what they gave. No agent's code is needed.

    On a terminal it waits after each turn for a key: Enter goes on, q ends. With --speed it goes on by itself.
    A recording that keeps no times is played at 20 ms for each piece. Elsewhere than on a terminal all is
    written at once, the answers to stdout and the rest to stderr, as agentkit run does.
    """
    from agentkit.cli.replaying import replay_cassette

    return replay_cassette(file, speed=speed, reasoning=reasoning)


@app.command(
    epilog="""
    \b
    Examples:
      agentkit serve script.yaml
      agentkit serve script.py --port 0 --log-json
      agentkit serve script.yaml --fault-rate 0.2 --fault-seed 7 --faults transient
      agentkit serve --cassette cassettes/test_weather/test_oslo.yaml
      AGENTKIT_BASE_URL=http://127.0.0.1:8000/v1 agentkit doctor

    \b
    Exit codes:
      0    ended by Ctrl-C or SIGTERM
      2    a mistake in the command, the script or the cassette, or the port is taken
    """
)
@click.argument("script", required=False, type=FILE, shell_complete=complete_file)
@click.option("--cassette", type=FILE, help="Serve this recording instead of a script.")
@click.option("--speed", type=click.FloatRange(min=0), help="Of a recording: 0 at once (the default), 1 as it came.")
@IGNORE
@SCRUB
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="A model it knows; may be given several times.")
@click.option("--done/--no-done", default=None, help="End streams with data: [DONE].")
@click.option("--fault-rate", type=click.FloatRange(0, 1), help="The share of answers that go wrong.")
@click.option("--fault-seed", type=int, help="The same seed gives the same faults to the same requests.")
@click.option("--faults", metavar="NAME,...", help="Which: names, or transient, final, form, model for all of a kind.")
@click.option("--api-key", metavar="KEY", envvar="AGENTKIT_SERVE_KEY", help="Refuse requests without this key.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Answer 429 above this.")
@click.option("--quiet", is_flag=True, help="Say nothing of requests.")
@click.option("--log-json", is_flag=True, help="Say it in JSON, a line for each request.")
def serve(
    script: Path | None,
    cassette: Path | None,
    speed: float | None,
    ignore: tuple[str, ...],
    scrub: tuple[str, ...],
    host: str,
    port: int,
    models: tuple[str, ...],
    done: bool | None,
    fault_rate: float | None,
    fault_seed: int | None,
    faults: str | None,
    api_key: str | None,
    requests_per_minute: int | None,
    quiet: bool,
    log_json: bool,
) -> int:
    """Serve a scripted model, or a recording, over HTTP, as a stateless Responses API.

    SCRIPT is a YAML file, or a Python file that defines script: a function of the request, or a list of replies.
    Options go over what the script itself says.

    With --cassette, whoever asks what was asked when it was recorded gets what was answered, in its chunks, errors
    and broken connections included; equal requests are answered in their order, then it begins again. An answer that
    was recorded whole is a stream for a client that streams, and the other way round. What isn't recorded is a 404
    that says how it differs.

    On stderr it says in one line per request what it did. GET /requests gives what it was asked, and the header
    x-agentkit-fault asks for a fault. It needs the extra server. Keep a key off the command line with
    AGENTKIT_SERVE_KEY.
    """
    from agentkit.cli.serving import ServeOptions, serve_until_stopped

    return serve_until_stopped(
        ServeOptions(
            script=script,
            cassette=cassette,
            speed=speed,
            ignore=ignore,
            scrub=scrub,
            host=host,
            port=port,
            models=models,
            done=done,
            quiet=quiet,
            log_json=log_json,
            fault_rate=fault_rate,
            fault_seed=fault_seed,
            faults=tuple(name.strip() for name in (faults or "").split(",") if name.strip()),
            api_key=api_key,
            requests_per_minute=requests_per_minute,
        )
    )


@app.command(
    epilog="""
    \b
    Examples:
      agentkit doctor
      agentkit doctor http://localhost:8000/v1 --model qwen3
      agentkit doctor --quick --json | jq .ok

    \b
    Exit codes:
      0    nothing that is needed failed
      1    something did: the server, its key, a plain or streamed answer, a tool round trip
      2    a mistake in the command
      130  Ctrl-C; after another signal 128 plus its number
    """
)
@click.argument("url", required=False)
@click.option("--model", metavar="NAME", help="Ask this model; by default AGENTKIT_MODEL, else the first listed.")
@click.option("--quick", "--no-probe", "quick", is_flag=True, help="Don't probe: no tokens are spent.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead.")
def doctor(url: str | None, model: str | None, quick: bool, as_json: bool) -> int:
    """Look at the environment and the server, and try what the server can do.

    URL is the server's address as for Client, such as http://localhost:8000/v1; by default it is the one that
    agents take from the environment. The key for a URL is AGENTKIT_API_KEY, or the provider's own where the
    URL is the provider's.

    Each line says what request was made and what was seen. The seven probes take about ten short requests.
    Keys are named, never shown, and so are the values in a URL's query. The list of models is waited for 10 s,
    an answer 30 s; where the plain one never comes, nothing more is asked.
    """
    from agentkit.cli.diagnosis import diagnose

    return diagnose(url, model=model, probing=not quick, as_json=as_json)


app.add_command(cassettes)
