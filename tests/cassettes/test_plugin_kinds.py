"""The pytest plugin with every kind of test: parametrised, in classes, async by each plugin, fixtures, xdist."""

from __future__ import annotations

import pytest

from agentkit.cassettes.session import Cassette
from agentkit.cassettes.suite.naming import MAX_NAME, find_clash, name_cassette
from agentkit.testing import call
from tests.cassettes.conftest import INI, Project

ASYNCIO_TEST = """
{mark}
@pytest.mark.cassette
async def test_coat(cassette):
    assert (await ask_async()).output == "Take a coat."
    assert len(cassette.requests) == 2
"""


def lines_of(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def record_and_replay(project: Project, *options: str, tests: int, requests: int) -> list[str]:
    """Record all tests, replay them with the server gone, and return the files."""
    result, server = project.run_live("--cassettes=record", *options)
    result.assert_outcomes(passed=tests)
    assert len(server.requests) == requests
    project.run(*options).assert_outcomes(passed=tests)
    return project.files()


@pytest.mark.parametrize(
    ("module", "classes", "function", "parameters", "expected"),
    [
        ("test_a.py", [], "test_x", "", "test_a/test_x.yaml"),
        ("tests/unit/test_a.py", [], "test_x", "", "tests/unit/test_a/test_x.yaml"),
        ("test_a.py", ["TestX", "TestIn"], "test_x", "", "test_a/TestX.TestIn.test_x.yaml"),
        ("test_a.py", [], "test_x", "Oslo-1.5", "test_a/test_x-Oslo-1.5.yaml"),
        ("test_a.py", [], "test_x", "a/b:c", "test_a/test_x-a_b_c-b083b1bc.yaml"),
        ("test_a.py", [], "test_x", "..", "test_a/test_x--886e311b.yaml"),
        ("../test_a.py", [], "test_x", "", "up/test_a/test_x.yaml"),
    ],
)
def test_a_file_has_the_name_of_its_test(
    module: str, classes: list[str], function: str, parameters: str, expected: str
) -> None:
    assert name_cassette(module, classes, function, parameters) == expected


def test_long_ids_are_cut_and_stay_apart() -> None:
    one, two = (name_cassette("test_a.py", [], "test_x", "y" * 300 + end) for end in "12")
    assert one != two
    assert len(one) <= len("test_a/.yaml") + MAX_NAME


def test_two_tests_that_differ_in_case_alone_clash() -> None:
    assert find_clash({"a": "x/test-Oslo.yaml", "b": "x/test-oslo.yaml"}) == ("a", "b")
    assert find_clash({"a": "x/test-oslo.yaml", "b": "y/test-oslo.yaml"}) is None


def test_parametrised_tests_have_a_file_each(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
@pytest.mark.parametrize("city", ["Oslo", "Bergen/Norway"])
def test_coat(city):
    ask(city)
""")
    files = record_and_replay(project, tests=2, requests=4)
    assert files == ["test_chat/test_coat-Bergen_Norway-d4f4f1bd.yaml", "test_chat/test_coat-Oslo.yaml"]


def test_ids_that_differ_in_case_alone_are_refused(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
@pytest.mark.parametrize("city", ["Oslo", "OSLO"])
def test_coat(city):
    ask(city)
""")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "that don't tell upper from lower case" in "\n".join(result.errlines)


def test_classes_and_modules_of_one_name_stay_apart(project: Project) -> None:
    body = """
@pytest.mark.cassette
class TestCoat:
    def test_it(self):
        ask("{city}")

@pytest.mark.cassette
def test_it():
    ask("{city}")
"""
    for folder in ("one", "two"):
        project.write(body.format(city=folder), f"{folder}/test_chat.py")
    files = record_and_replay(project, "--import-mode=importlib", tests=4, requests=8)
    assert files == [
        "one/test_chat/TestCoat.test_it.yaml",
        "one/test_chat/test_it.yaml",
        "two/test_chat/TestCoat.test_it.yaml",
        "two/test_chat/test_it.yaml",
    ]


def test_methods_of_unittest_work(project: Project) -> None:
    project.write("""
import unittest

@pytest.mark.cassette
class TestCoat(unittest.TestCase):
    def test_it(self):
        ask()

@pytest.mark.cassette
class TestLater(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        await ask_async()
""")
    assert record_and_replay(project, tests=2, requests=4) == [
        "test_chat/TestCoat.test_it.yaml",
        "test_chat/TestLater.test_it.yaml",
    ]


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("@pytest.mark.asyncio", ("-o", "asyncio_mode=strict")),
        ("", ("-o", "asyncio_mode=auto")),
        ("@pytest.mark.asyncio(loop_scope='session')", ("-o", "asyncio_mode=strict")),
        ("@pytest.mark.anyio", ("-p", "no:asyncio")),
        ("@pytest.mark.anyio", ("-o", "asyncio_mode=strict")),
    ],
    ids=["asyncio strict", "asyncio auto", "asyncio, one loop", "anyio alone", "anyio beside asyncio"],
)
def test_async_tests_work(project: Project, mark: str, options: tuple[str, ...]) -> None:
    if "no:asyncio" in options:
        (project.pytester.path / "pytest.ini").write_text(
            INI.replace("asyncio_default_fixture_loop_scope = function\n", ""), encoding="utf-8"
        )
    project.write(
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
        + ASYNCIO_TEST.format(mark=mark)
        + ASYNCIO_TEST.format(mark=mark).replace("test_coat", "test_again")
    )
    assert record_and_replay(project, *options, tests=2, requests=4) == [
        "test_chat/test_again.yaml",
        "test_chat/test_coat.yaml",
    ]
    module = project.pytester.path / "test_chat.py"
    module.write_text(module.read_text().replace("await ask_async()", "await ask_async('Rome')"))
    result = project.run(*options)
    result.assert_outcomes(failed=2)
    assert "pytest_pyfunc_call" not in lines_of(result)  # its traceback begins and ends in the test
    assert "agentkit/run.py" not in lines_of(result)


def test_each_test_has_its_own_cassette_in_a_loop_that_they_share(project: Project) -> None:
    """The shared loop of anyio runs everything in the context of its first test."""
    project.write("""
@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def question(anyio_backend):
    return (await ask_async("Bergen")).output

@pytest.mark.anyio
async def test_before(anyio_backend):
    pass

@pytest.mark.anyio
@pytest.mark.cassette
@pytest.mark.parametrize("city", ["rome", "oslo"])
async def test_coat(question, city, cassette):
    await ask_async(city)
    assert len(cassette.requests) == 4
""")
    files = record_and_replay(project, "-o", "asyncio_mode=strict", tests=3, requests=8)
    assert files == ["test_chat/test_coat-oslo.yaml", "test_chat/test_coat-rome.yaml"]


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async_fixtures_of_each_kind_play_the_tests_cassette(project: Project, plugin: str) -> None:
    fixture = "pytest_asyncio.fixture" if plugin == "asyncio" else "pytest.fixture"
    project.write(f"""
import pytest_asyncio

@pytest.fixture
def anyio_backend():
    return "asyncio"

@{fixture}
async def answer({"" if plugin == "asyncio" else "anyio_backend"}):
    return (await ask_async("Bergen")).output

@{fixture}
async def yielded(answer):
    yield (await ask_async("Rome")).output

@pytest.mark.{plugin}
@pytest.mark.cassette
async def test_coat(yielded, answer, cassette):
    assert len(cassette.requests) == 4
    await ask_async()
""")
    files = record_and_replay(project, "-o", "asyncio_mode=strict", tests=1, requests=6)
    assert files == ["test_chat/test_coat.yaml"]


def test_fixtures_of_the_test_play_its_cassette_in_any_order(project: Project) -> None:
    project.write("""
@pytest.fixture(autouse=True)
def early():
    return ask("Bergen").output

@pytest.fixture
def late():
    return ask("Rome").output

def test_coat(late, cassette):
    assert len(cassette.requests) == 4
""")
    assert record_and_replay(project, tests=1, requests=4) == ["test_chat/test_coat.yaml"]


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_what_tests_share_has_a_cassette_of_its_own(project: Project, scope: str) -> None:
    project.write(f"""
@pytest.fixture(scope="{scope}")
def summary(cassette_named):
    with cassette_named("summary") as tape:
        assert tape.requests == []
        return ask("Bergen").output

class TestCoat:
    @pytest.mark.cassette
    def test_one(self, summary):
        ask()

    @pytest.mark.cassette
    def test_two(self, summary):
        ask()
""")
    assert record_and_replay(project, tests=2, requests=6) == [
        "summary.yaml",
        "test_chat/TestCoat.test_one.yaml",
        "test_chat/TestCoat.test_two.yaml",
    ]


@pytest.mark.parametrize("scope", ["module", "session"])
def test_what_tests_share_is_refused_the_network_without_one(project: Project, scope: str) -> None:
    project.write(f"""
@pytest.fixture(scope="{scope}")
def summary():
    return ask("Bergen").output

@pytest.mark.cassette
def test_coat(summary):
    ask()
""")
    result, server = project.run_live("--cassettes=record", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(errors=1)
    assert server.requests == []
    shown = lines_of(result)
    assert "a connection to '127.0.0.1' was attempted by an agent outside of any cassette" in shown
    assert "with cassette_named" in shown


def test_what_is_shared_and_asked_for_late_stays_out_of_the_tests_cassette(project: Project) -> None:
    project.write("""
@pytest.fixture(scope="module")
def summary():
    return ask("Bergen").output

@pytest.mark.cassette
def test_coat(request):
    request.getfixturevalue("summary")
""")
    result, server = project.run_live("--cassettes=record", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(failed=1)
    assert server.requests == []


def test_a_shared_cassette_can_stay_open_for_the_tests(project: Project) -> None:
    project.write("""
@pytest.fixture(scope="module", autouse=True)
def talk(cassette_named):
    with cassette_named("talk"):
        yield

def test_one():
    ask()

@pytest.mark.cassette
def test_two():
    ask("Rome")

def test_three():
    ask("Bergen")
""")
    assert record_and_replay(project, tests=3, requests=6) == ["talk.yaml", "test_chat/test_two.yaml"]
    # what one test leaves unplayed, another may play: only a whole run tells
    project.run("-k", "three").assert_outcomes(passed=1, deselected=2)


def test_agents_outside_of_cassettes_are_refused_the_network(project: Project) -> None:
    project.write("""
from agentkit.testing import ScriptedModel

def test_live():
    ask()

def test_scripted():
    assert agent.run_sync("Hi", client=ScriptedModel(["Hello"]).client()).output == "Hello"

@pytest.mark.cassette
def test_coat():
    ask()
""")
    result, server = project.run_live("--cassettes=record", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(passed=2, failed=1)
    assert len(server.requests) == 2
    shown = lines_of(result)
    assert "to record and play the test      → @pytest.mark.cassette" in shown
    assert "agentkit/wire.py" not in shown  # a traceback ends where the test calls agentkit
    shown = lines_of(project.run_live("--cassettes=record", "-k", "live")[0])
    assert "--cassettes=record: no test here uses one. Mark what asks a model: @pytest.mark.cassette" in shown
    # by option, this machine may be reached
    result, server = project.run_live()
    result.assert_outcomes(passed=3)
    assert len(server.requests) == 2
    # and nothing is guarded where no test uses a cassette
    result, server = project.run_live("-k", "live or scripted", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(passed=2, deselected=1)


def test_a_test_that_is_off_always_goes_live(project: Project) -> None:
    project.write("""
@pytest.mark.cassette(mode="off")
def test_live():
    ask()

@pytest.mark.cassette
def test_coat():
    ask()
""")
    for options, live in ((("--cassettes=record",), 4), ((), 2), (("--cassettes=extend",), 2)):
        result, server = project.run_live(*options, "-o", "cassettes_allow_loopback=false")
        result.assert_outcomes(passed=2)
        assert len(server.requests) == live
    assert project.files() == ["test_chat/test_coat.yaml"]


def test_a_cassette_opened_in_a_test_lets_its_recording_out(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
def test_coat():
    with agentkit.cassette("inner.yaml", mode="record"):
        ask()
""")
    for _ in range(2):
        result, server = project.run_live("-o", "cassettes_allow_loopback=false")
        result.assert_outcomes(passed=1)
    assert server.requests == []
    assert (project.pytester.path / "inner.yaml").exists()


def test_the_whole_process_is_refused_the_network_by_configuration(project: Project) -> None:
    project.write("""
import socket

def test_socket():
    socket.create_connection(("127.0.0.1", 9))
""")
    result = project.run("-o", "cassettes_block_network=true", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(failed=1)
    assert "LiveCallBlocked" in lines_of(result)


def test_threads_of_a_test_play_its_cassette(project: Project) -> None:
    project.write("""
import threading

@pytest.mark.cassette
def test_coat(cassette):
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(cassette.requests) == 2
""")
    assert record_and_replay(project, tests=1, requests=2) == ["test_chat/test_coat.yaml"]


def test_two_tests_may_play_one_file(project: Project) -> None:
    project.write("""
@pytest.mark.cassette("both.yaml")
def test_one():
    ask()
    ask("Rome")

@pytest.mark.cassette("both.yaml")
def test_two():
    ask()
""")
    assert record_and_replay(project, tests=2, requests=4) == ["both.yaml"]
    result, _ = project.run_live("--cassettes=rewrite")
    result.assert_outcomes(passed=1, errors=1)
    shown = lines_of(result)
    assert "both.yaml was recorded by test_chat.py::test_one in this run. One test records a file, and others" in shown
    assert "To record this one after all: pytest test_chat.py::test_two --cassettes=rewrite" in shown


@pytest.mark.parametrize("fails", [False, True])
def test_a_second_test_records_nothing_over_the_first(project: Project, fails: bool) -> None:
    project.write(f"""
@pytest.mark.cassette("both.yaml")
def test_one():
    ask()
    assert not {fails}

@pytest.mark.cassette("both.yaml")
def test_two():
    ask("Rome")
""")
    result, server = project.run_live("--cassettes=record")
    assert len(server.requests) == 2
    assert "give this one a file of its own" in lines_of(result)
    assert project.files() == ["both.yaml.new" if fails else "both.yaml"]


def test_workers_of_xdist_refuse_to_record_a_file_of_several_tests(project: Project) -> None:
    project.write("""
@pytest.mark.cassette("both.yaml")
@pytest.mark.parametrize("city", ["Oslo", "Rome"])
def test_coat(city):
    ask(city)
""")
    with project.server() as server:
        result = project.pytester.runpytest_subprocess("-p", "no:cacheprovider", "--cassettes=record", "-n", "2")
    assert server.requests == []
    assert "both.yaml is a file of several tests. Record it without xdist: pytest" in lines_of(result)


@pytest.mark.parametrize("chosen", [("test_chat.py::test_one",), ("-k", "one")])
@pytest.mark.parametrize("mode", ["rewrite", "extend"])
def test_a_test_that_is_run_alone_leaves_what_others_may_play(
    project: Project, chosen: tuple[str, ...], mode: str
) -> None:
    both = """
@pytest.mark.cassette("both.yaml")
def test_one():
    ask("CITY")

@pytest.mark.cassette("both.yaml")
def test_two():
    ask("Rome")
"""
    project.write(both.replace("CITY", "Oslo").replace("Rome", "Oslo"))
    assert record_and_replay(project, tests=2, requests=2) == ["both.yaml"]
    accepted = project.text("both.yaml")
    left_out = {"deselected": 1} if "-k" in chosen else {}
    project.run(*chosen).assert_outcomes(passed=1, **left_out)
    project.write(both.replace("CITY", "Turin"))
    result, server = project.run_live(f"--cassettes={mode}", *chosen)
    result.assert_outcomes(passed=1, **left_out)
    assert len(server.requests) == 2
    assert project.text("both.yaml") == accepted
    assert "both.yaml.new waits for review, without what other tests may play, which weren't run" in lines_of(result)


def test_a_file_that_a_test_names_for_itself_is_recorded_anew_by_itself(project: Project) -> None:
    project.write("@pytest.mark.cassette('own.yaml')\ndef test_one():\n    ask()\n")
    assert record_and_replay(project, tests=1, requests=2) == ["own.yaml"]
    result, _ = project.run_live(
        "--cassettes=rewrite",
        "test_chat.py::test_one",
        script=lambda asked: "Take an umbrella." if asked.last_output else call("weather", {"city": "Oslo"}),
    )
    result.assert_outcomes(passed=1)
    assert project.files() == ["own.yaml"]
    assert "umbrella" in project.text("own.yaml")
    # what is no longer asked is found by a run of all tests
    project.write("@pytest.mark.cassette('own.yaml')\ndef test_one():\n    pass\n")
    project.run("test_chat.py::test_one").assert_outcomes(passed=1)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "own.yaml: turns 1 and 2 of 2 were not played" in lines_of(result)


def test_workers_of_xdist_record_and_replay(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
@pytest.mark.parametrize("city", ["bergen", "oslo", "rome", "turin"])
def test_coat(city):
    ask(city)
""")
    result, server = project.run_live("--cassettes=record", "-n2")
    result.assert_outcomes(passed=4)
    assert len(server.requests) == 8
    assert project.files() == [f"test_chat/test_coat-{city}.yaml" for city in ("bergen", "oslo", "rome", "turin")]
    assert "cassettes/test_chat/test_coat-rome.yaml: 2 exchanges recorded" in lines_of(result)

    project.run("-n2").assert_outcomes(passed=4)
    used = (project.pytester.path / "cassettes" / ".agentkit" / "played.json").read_text()
    assert '"session": "full green"' in used
    assert used.count('"total": 2') == 4


def test_a_file_that_another_process_records_is_refused_at_once(project: Project) -> None:
    """As another worker of xdist would: nobody waits, and nothing is lost of what the first gets."""
    project.write('@pytest.mark.cassette("both.yaml")\ndef test_coat():\n    ask()\n')
    with Cassette(project.pytester.path / "cassettes" / "both.yaml", mode="rewrite"):
        result, server = project.run_live("--cassettes=rewrite")
    result.assert_outcomes(errors=1)
    assert server.requests == []
    assert "both.yaml is being recorded by another process" in lines_of(result)
    project.run_live("--cassettes=rewrite")[0].assert_outcomes(passed=1)


def test_the_plugin_of_pytest_recording_works_beside(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
def test_ours():
    ask()

@pytest.mark.vcr
def test_theirs():
    import httpx
    answer = httpx.post(os.environ["MODEL_URL"] + "/responses", json={"model": "m", "input": "Hi"})
    assert answer.status_code == 200
""")
    with project.server() as server:
        result = project.pytester.runpytest_inprocess("--cassettes=record", "--record-mode=once")
        result.assert_outcomes(passed=2)
        result = project.pytester.runpytest_inprocess("--record-mode=none")
        result.assert_outcomes(passed=2)
        assert len(server.requests) == 3
    assert project.files() == ["test_chat/test_ours.yaml", "test_chat/test_theirs.yaml"]


def test_tests_that_are_run_again_start_anew(project: Project) -> None:
    project.write("""
tries = []

@pytest.mark.flaky(reruns=1)
@pytest.mark.cassette
def test_coat(cassette):
    ask()
    tries.append(1)
    assert len(tries) > 1
    assert len(cassette.requests) == 2
""")
    result, server = project.run_live("--cassettes=record")
    assert result.ret == 0
    assert project.files() == ["test_chat/test_coat.yaml"]
    assert len(server.requests) == 2  # what the failed try has got is played
