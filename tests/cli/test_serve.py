"""`agentkit serve` as a user runs it; what the server does is tested with the service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agentkit import AuthenticationError, Client, RetryPolicy, StatusError
from agentkit.cassettes.files import write
from tests.cassettes.made import Recorder

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

pytest.importorskip("uvicorn")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_a_script_is_served_until_ctrl_c(shell: Shell) -> None:
    shell.write("script.py", "def script(request):\n    return 'Hello!'\n")
    args = [
        "serve",
        "script.py",
        "--port",
        "0",
        "--log-json",
        "--api-key",
        "sk-secret",
        "--model",
        "m",
        "--faults",
        "queue_full",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "agentkit", *args, "--fault-rate", "0.5", "--fault-seed", "3"],
        cwd=shell.folder,
        env=shell._environ(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    try:
        url = json.loads(server.stderr.readline())["listening"]
        with Client(url, "sk-secret", retry=RetryPolicy(attempts=1)) as client:
            assert [model["id"] for model in client.models_sync()] == ["m"]
            seen = []
            for _ in range(10):
                try:
                    seen.append(client.respond_sync({"model": "m", "input": "Hi"}).output_text)
                except StatusError as exc:
                    seen.append(str(exc.code))
            assert set(seen) == {"Hello!", "queue_full"}
        with Client(url, "sk-other", retry=RetryPolicy(attempts=1)) as client, pytest.raises(AuthenticationError):
            client.respond_sync({"model": "m", "input": "Hi"})
        server.send_signal(signal.SIGINT)
        log = server.stderr.read()
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.stderr.close()
        server.wait()
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())
    assert "sk-" not in log


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("none.yaml",), "Error: none.yaml: there is no such file."),
        (("weather_agent.py",), "defines no `script`"),
        (("script.py", "--faults", "rate_limted"), "there is no fault 'rate_limted'. Did you mean"),
        (("script.py", "--fault-rate", "2"), "2.0 is not in the range"),
        (("script.py", "--port", "70000"), "70000 is not in the range"),
        ((), "give either a SCRIPT or --cassette FILE."),
        (("script.py", "--cassette", "x.yaml"), "give either a SCRIPT or --cassette FILE."),
        (("script.py", "--speed", "1"), "--speed: for --cassette only"),
        (("script.py", "--ignore", "tools", "--scrub", "x"), "--ignore, --scrub: for --cassette only"),
        (("--cassette", "none.yaml"), "none.yaml: there is no such file"),
        (("--cassette", "x.yaml", "--fault-rate", "0.5", "--model", "m"), "--model, --fault-rate: for a script only"),
    ],
)
def test_mistakes_are_2(shell: Shell, args: tuple[str, ...], words: str) -> None:
    shell.write("script.py", "script = ['Hello!']\n")
    done = shell.run("serve", *args)
    assert words in done.stderr
    assert done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_a_cassette_is_served_until_ctrl_c(shell: Shell) -> None:
    pytest.importorskip("yaml", reason="needs the extra 'cassettes'")
    recorder = Recorder(["Hello!"])
    recorder.client().respond_sync({"model": "m", "input": "Hi"})
    write(shell.folder / "x.yaml", recorder.recording)
    server = subprocess.Popen(
        [sys.executable, "-m", "agentkit", "serve", "--cassette", "x.yaml", "--port", "0"],
        cwd=shell.folder,
        env=shell._environ(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    try:
        url = server.stderr.readline().removeprefix("listening on ").strip()
        with Client(url, "any") as client:
            assert client.respond_sync({"model": "m", "input": "Hi"}).output_text == "Hello!"
            with pytest.raises(StatusError, match=r"x\.yaml"):
                client.respond_sync({"model": "m", "input": "Hi there"})
        server.send_signal(signal.SIGINT)
        log = server.stderr.read()
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.stderr.close()
        server.wait()
    told = [line.partition(" -> ")[2].partition(";")[0] for line in log.splitlines() if " -> " in line]
    assert told == ["200", "404"]
    assert "      Hi{+ there+}\n" in log
    assert "turn 1" in log


def test_without_the_extra_it_says_what_to_install(shell: Shell) -> None:
    shell.write("script.py", "script = ['Hello!']\n")
    code = (
        "import sys; sys.modules['uvicorn'] = None; from agentkit.cli import main; "
        "sys.exit(main(['serve', 'script.py']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=shell.folder,
        env=shell._environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install -e '.[server]'" in done.stderr
