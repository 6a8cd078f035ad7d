"""Files: what the tools show, and every known way out of a root, tried for real in both ways of opening paths."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agentkit_tools import Files, beneath

from agentkit import Agent, ToolError, UsageError

SECRET = "the secret outside"
OPENINGS = ["openat2", "components"] if sys.platform.startswith("linux") else ["components"]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "notes.txt").write_text("first\nsecond\nthird\n")
    (folder / "docs" / "guide.md").write_text("# Guide\n\nSee the notes.\n")
    (folder / "docs" / "deep" / "more.md").write_text("More notes.\n")
    (folder / ".env").write_text("KEY=1\n")
    return folder


@pytest.fixture(params=OPENINGS)
def opened(request: pytest.FixtureRequest, root: Path) -> Files:
    try:
        return Files(root, opening=request.param)
    except UsageError as exc:  # before Linux 5.6, or in a sandbox
        pytest.skip(str(exc))


@pytest.fixture(autouse=True)
def _no_descriptor_is_left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Each test ends without files of the root, or pipes, left open, but for the root's own descriptor."""
    files = request.getfixturevalue("opened") if "opened" in request.fixturenames else None
    before = open_in(tmp_path)
    yield
    gc.collect()  # the tracebacks of caught errors
    assert len(open_in(tmp_path)) == len(before)
    del files


def open_in(folder: Path) -> list[str]:
    """Return what this process has open beneath a folder, and its pipes; nothing where there is no /proc."""
    targets = []
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            targets.append(str(link.readlink()))
    return [target for target in targets if target.startswith((str(folder), "pipe:"))]


def refused(function: Callable[..., object], *args: object, **options: object) -> str:
    with pytest.raises(ToolError) as caught:
        function(*args, **options)
    return str(caught.value)


# --- what they show ----------------------------------------------------------------------------------------


def test_a_directory_is_listed_by_name_with_sizes(opened: Files) -> None:
    assert opened.list_files() == "docs/\nnotes.txt  19 bytes"


def test_a_listing_goes_deeper_and_picks_by_pattern(opened: Files) -> None:
    assert opened.list_files(recursive=True).splitlines() == [
        "docs/",
        "docs/deep/",
        "docs/deep/more.md  12 bytes",
        "docs/guide.md  24 bytes",
        "notes.txt  19 bytes",
    ]
    assert opened.list_files("docs", "*.md", recursive=True) == "docs/deep/more.md  12 bytes\ndocs/guide.md  24 bytes"
    assert opened.list_files(pattern="*.rs") == "[no entry matches '*.rs'; 2 looked at]"


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.md", ["docs/deep/more.md", "docs/guide.md"]),
        ("docs/*.md", ["docs/guide.md"]),
        ("docs/**/*.md", ["docs/deep/more.md", "docs/guide.md"]),
        ("**/*.md", ["docs/deep/more.md", "docs/guide.md"]),
        ("**/deep/*", ["docs/deep/more.md"]),
        ("./notes.*", ["notes.txt"]),
        ("docs/**", ["docs/deep/", "docs/deep/more.md", "docs/guide.md", "docs/"]),
        ("**/" * 300 + "x", []),
        ("**/**/deep/**/**/*", ["docs/deep/more.md"]),
        ("docs/docs/*", []),
        ("*" * 900 + "x", []),
    ],
)
def test_a_pattern_matches_the_name_or_the_path(opened: Files, pattern: str, paths: list[str]) -> None:
    listed = opened.list_files(pattern=pattern, recursive=True)
    assert sorted(line.split("  ")[0] for line in listed.splitlines() if not line.startswith("[")) == sorted(paths)


def test_a_pattern_of_many_stars_takes_no_longer_than_one(opened: Files, root: Path) -> None:
    """60 times `**/` took 6 s for 3,000 names."""
    for folder in range(30):
        (root / "many" / "a" / "b" / "c" / str(folder)).mkdir(parents=True)
        for number in range(100):
            (root / "many" / "a" / "b" / "c" / str(folder) / str(number)).touch()
    began = time.thread_time()
    assert opened.list_files(".", "**/" * 60 + "x", True) == (
        f"[no entry matches {'**/' * 60 + 'x'!r}; 3039 looked at]"
    )
    assert time.thread_time() - began < 1


def test_lines_are_read_with_numbers(opened: Files) -> None:
    assert opened.read_file("notes.txt") == "1  first\n2  second\n3  third"
    assert opened.read_file("notes.txt", 2, 1) == "2  second\n[lines 2 to 2 of 3; go on with start=3]"
    assert opened.read_file("./docs/../docs//guide.md", 3) == "3  See the notes."


def test_what_can_not_be_read_is_told(opened: Files, root: Path) -> None:
    (root / "empty").touch()
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert opened.read_file("empty") == "['empty' is empty]"
    assert refused(opened.read_file, "notes.txt", 9) == "'notes.txt' has 3 lines; start is 9"
    assert refused(opened.read_file, "notes.txt", 0) == "start is 0 and count is 200; both are 1 or more"
    assert refused(opened.read_file, "picture.png") == (
        "'picture.png' is not text: 16 bytes that begin with 89 50 4e 47 0d 0a 1a 0a. Only text files are read"
    )
    assert refused(opened.read_file, "note.txt") == "'note.txt': there is no such file. Close: 'notes.txt'"
    assert refused(opened.read_file, "docs") == "'docs' is a directory; list it with list_files"
    assert refused(opened.list_files, "notes.txt") == "'notes.txt' is a file; read it with read_file"
    assert "may not" in refused(opened.read_file, ".env") or "not shown here" in refused(opened.read_file, ".env")


def test_hidden_files_are_shown_where_asked_for(root: Path) -> None:
    files = Files(root, hidden=True)
    assert files.read_file(".env") == "1  KEY=1"
    assert ".env  6 bytes" in files.list_files()


def test_long_lines_and_long_files_are_cut(opened: Files, root: Path) -> None:
    (root / "long.txt").write_text("x" * 10_000 + "\n" + "y\n" * 5_000)
    lines = opened.read_file("long.txt", count=10_000).splitlines()
    assert lines[0] == "   1  " + "x" * 500 + "… [cut: the line has 10,000 characters]"
    assert lines[-1] == "[lines 1 to 1000 of 5001; go on with start=1001]"
    (root / "wide.txt").write_text(("z" * 400 + "\n") * 1_000)
    wide = opened.read_file("wide.txt", count=1_000)
    assert len(wide) < 41_000
    assert wide.endswith("of 1000; go on with start=99]") or "go on with start=" in wide.splitlines()[-1]


def test_bytes_that_are_no_utf8_are_replaced(opened: Files, root: Path) -> None:
    (root / "latin.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9\r\nend")
    assert opened.read_file("latin.txt") == "1  caf�\n2  end"


def test_a_search_gives_path_line_and_text(opened: Files) -> None:
    assert opened.search_files(r"[Nn]otes?\.") == "docs/deep/more.md:1: More notes.\ndocs/guide.md:3: See the notes."
    assert opened.search_files("NOTES", "docs/guide.md", ignore_case=True) == "docs/guide.md:3: See the notes."
    assert opened.search_files("second", context=1) == "notes.txt-1- first\nnotes.txt:2: second\nnotes.txt-3- third"
    assert opened.search_files("second", glob="*.md") == "[no match in 2 files]"


def test_a_search_says_what_it_left_out(opened: Files, root: Path) -> None:
    (root / "data.bin").write_bytes(b"notes\0")
    with (root / "huge.log").open("wb") as file:
        file.truncate(100 * 2**30)
    assert opened.search_files("second").splitlines() == ["notes.txt:2: second", "[not searched: 2 not text]"]
    small = Files(root, max_file_bytes=20)
    assert small.search_files("second", glob="*.[mt]*").splitlines()[-1] == "[not searched: 1 too large]"
    assert small.read_file("docs/guide.md").endswith(
        "[the file has 24 bytes; what is after the first 20 can't be read]"
    )


def test_a_search_stops_at_a_hundred_matches(opened: Files, root: Path) -> None:
    (root / "many.txt").write_text("match\n" * 1_000)
    lines = opened.search_files("match", context=1).splitlines()
    assert sum(":" in line and "match" in line for line in lines[:-1]) == 100
    assert lines[-1] == "[there may be more; narrow the pattern, the path or the glob]"


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[z-a]", "(?P<n>", "*", "\\"])
def test_a_wrong_expression_is_told(opened: Files, pattern: str) -> None:
    assert "is no regular expression" in refused(opened.search_files, pattern)


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(a|aa)+b", r"(.*.*.*.*.*.*)*[#]"])
def test_an_expression_that_never_ends_is_stopped(root: Path, pattern: str) -> None:
    (root / "notes.txt").write_text("a" * 5_000 + "\n")
    began = time.monotonic()
    assert "was stopped in 'notes.txt'" in refused(Files(root, timeout_s=0.5).search_files, pattern, "notes.txt")
    assert time.monotonic() - began < 3


# --- ways out ----------------------------------------------------------------------------------------------

LEADS_OUT = "leads out of the directory that these tools are for, or around in links. Paths are relative to it"


def _link(target: str) -> Callable[[Path], str]:
    def make(root: Path) -> str:
        (root / "way").symlink_to(target)
        return "way"

    return make


def _directory_link(target: str, rest: str) -> Callable[[Path], str]:
    def make(root: Path) -> str:
        (root / "docs" / "way").symlink_to(target)
        return f"docs/way/{rest}"

    return make


WAYS_OUT: list[tuple[str, Callable[[Path], str]]] = [
    ("parent", lambda root: "../outside/secret.txt"),
    ("parent later", lambda root: "docs/../../outside/secret.txt"),
    ("parent and back", lambda root: "../root/notes.txt"),
    ("absolute", lambda root: str(root.parent / "outside" / "secret.txt")),
    ("absolute within", lambda root: str(root / "notes.txt")),
    ("two slashes", lambda root: "//etc/passwd"),
    ("link to file", _link("../outside/secret.txt")),
    ("link to absolute", _link("/etc/passwd")),
    ("link through directory", _directory_link("../../outside", "secret.txt")),
    ("link to root of the system", _directory_link("/", "etc/passwd")),
    ("link to proc root", _directory_link("/proc/self/root", "etc/passwd")),
    ("link to proc cwd", _directory_link("/proc/self/cwd", "pyproject.toml")),
    ("link to descriptor", _link("/proc/self/fd/0")),
    ("link to itself", _link("way")),
    ("link up and in again", _link("../root/notes.txt")),
]


@pytest.mark.parametrize("make", [make for _, make in WAYS_OUT], ids=[name for name, _ in WAYS_OUT])
def test_no_path_leads_out(opened: Files, root: Path, make: Callable[[Path], str]) -> None:
    path = make(root)
    for function in (opened.read_file, opened.list_files):
        text = refused(function, path)
        assert text.endswith(LEADS_OUT)
        assert SECRET not in text
    assert refused(opened.search_files, "secret", path).endswith(LEADS_OUT)
    assert SECRET not in opened.search_files("secret")
    assert SECRET not in opened.list_files(recursive=True)


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.skipif(not Path("/proc/self/root").exists(), reason="no /proc here")
@pytest.mark.parametrize("path", ["proc/self/root/etc/passwd", "proc/self/cwd/pyproject.toml", "proc/self/fd/0"])
def test_magic_links_are_not_followed_from_the_systems_root(opening: str, path: str) -> None:
    assert refused(Files("/", opening=opening).read_file, path).endswith(LEADS_OUT)


def test_links_that_stay_beneath_are_followed(opened: Files, root: Path) -> None:
    (root / "short").symlink_to("docs/guide.md")
    (root / "docs" / "up").symlink_to("..")
    (root / "docs" / "chain").symlink_to("../short")
    assert opened.read_file("short", 1, 1).startswith("1  # Guide")
    assert opened.read_file("docs/chain", 1, 1).startswith("1  # Guide")
    assert opened.read_file("docs/up/docs/up/notes.txt", 3) == "3  third"
    assert "short  (link)" in opened.list_files()
    assert "docs/up  (link)" in opened.list_files(recursive=True)
    assert opened.list_files("docs/up/") == opened.list_files("docs/up")


def test_a_hard_link_is_read_only_where_allowed(opened: Files, root: Path, outside: Path) -> None:
    (root / "way").hardlink_to(outside / "secret.txt")
    assert refused(opened.read_file, "way") == (
        "'way': is a hard link: another name of the file may lie outside. Files(..., hard_links=True) reads it"
    )
    assert opened.search_files("secret") == "[no match in 3 files]\n[not searched: 1 hard links]"
    assert Files(root, hard_links=True).read_file("way") == f"1  {SECRET}"
    (outside / "secret.txt").unlink()
    assert opened.read_file("way") == f"1  {SECRET}"


def test_a_link_that_is_swapped_for_a_file_as_it_is_read_is_gone(root: Path) -> None:
    """readlink(2) says EINVAL of what is no link, which is no matter of the name."""
    fd = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError):
            beneath._target(b"notes.txt", fd)
    finally:
        os.close(fd)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except OSError:
        pytest.skip("no devices can be made here")


@pytest.mark.parametrize(("make", "kind"), [(_fifo, "a FIFO"), (_socket, "a socket"), (_device, "a device")])
def test_special_files_are_not_opened(opened: Files, root: Path, make: Callable[[Path], None], kind: str) -> None:
    make(root / "special")
    began = time.monotonic()
    for function in (opened.read_file, opened.list_files):
        assert refused(function, "special") == f"'special' is {kind}; only files and directories are opened"
    assert f"special  ({kind[2:]})" in opened.list_files()
    assert opened.search_files("nothing") == "[no match in 3 files]"
    assert time.monotonic() - began < 5


def test_a_fifo_behind_a_link_and_a_waiting_writer_are_left_alone(opened: Files, root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "way").symlink_to("fifo")
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(root / 'fifo')!r}, 'w')"])
    try:
        time.sleep(0.2)
        assert "is a FIFO" in refused(opened.read_file, "way")
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()


NAMES = [
    "a\nb.txt",
    "a b.txt",
    "-rf",
    "~",
    "$(id)",
    "tab\t.txt",
    "\x1b[31m.txt",
    "ünï.txt",
    '"quoted".txt',
    "a\\b",
    "\u202etxt",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_listed_on_one_line_and_read(opened: Files, root: Path, name: str) -> None:
    (root / "docs" / "deep" / name).write_text("here")
    listed = opened.list_files("docs/deep").splitlines()
    assert len(listed) == 2
    assert all(line.isprintable() for line in listed)
    assert opened.read_file(f"docs/deep/{name}") == "1  here"
    assert opened.search_files("here").endswith(":1: here")


def test_names_that_are_no_text_are_listed_and_read(opened: Files, root: Path) -> None:
    with open(os.fsencode(root) + b"/\xff.txt", "w") as file:  # noqa: PTH123
        file.write("here")
    assert '"\\udcff.txt"  4 bytes' in opened.list_files()
    assert opened.read_file("\udcff.txt") == "1  here"


@pytest.mark.parametrize("path", ["a\0b", "notes.txt\0", "\0", "x" * 300, "x/" * 3_000, "\ud800", "docs\0/../.."])
def test_names_that_no_file_has_are_told(opened: Files, path: str) -> None:
    text = refused(opened.read_file, path)
    assert "no file can have this name" in text or "there is no such file" in text
    assert len(text) < 400 * 6


def test_a_file_of_100_gb_does_not_hang(opened: Files, root: Path) -> None:
    with (root / "huge.log").open("wb") as file:
        file.write(b"line\n" * 3_000_000 + b"rest\n" * 1_000_000)
        file.truncate(100 * 2**30)
    began = time.monotonic()
    lines = opened.read_file("huge.log", count=1).splitlines()
    assert lines[0] == "1  line"
    assert lines[-1] == "[the file has 107,374,182,400 bytes; what is after the first 16,777,216 can't be read]"
    assert opened.search_files("line") == "[no match in 3 files]\n[not searched: 1 too large]"
    assert time.monotonic() - began < 10


def test_a_very_deep_tree_is_walked_to_an_end(opened: Files, root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert "lies too deep to go on]" in opened.list_files(recursive=True)
    assert "there is no such file" in (text := refused(opened.read_file, "d/" * 1_400 + "x")) or "name" in text
    subprocess.run(["rm", "-rf", str(root / "d")], check=True)


def test_a_very_large_directory_is_cut(opened: Files, root: Path) -> None:
    folder = root / "docs" / "many"
    folder.mkdir()
    for number in range(700):
        (folder / f"{number:04}.txt").touch()
    lines = opened.list_files("docs/many").splitlines()
    assert len(lines) == 501
    assert lines[-1] == "[more than 500 entries; give a pattern, or list a subdirectory]"


SWAP = """
import os, sys
root, first, second = sys.argv[1:]
os.chdir(root)
while True:
    os.rename(first, "spare"), os.rename(second, first), os.rename("spare", second)
"""


@contextlib.contextmanager
def swapping(root: Path, first: str, second: str) -> Iterator[None]:
    """Another process swaps two names, over and over; a thread would run in step with the reader."""
    process = subprocess.Popen([sys.executable, "-c", SWAP, str(root), first, second])
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_nothing_outside_is_read_while_links_are_swapped_in(
    opened: Files, root: Path, outside: Path, what: str
) -> None:
    (root / "swap" / "sub").mkdir(parents=True)
    (root / "swap" / "sub" / "secret.txt").write_text("harmless")
    (root / "evil").symlink_to(outside)
    (root / "evil.txt").symlink_to(outside / "secret.txt")
    names = ("swap/sub", "evil") if what == "directory" else ("swap/sub/secret.txt", "evil.txt")
    seen = dict.fromkeys(["harmless", "leads out", "no such file"], 0)
    with swapping(root, *names):
        ends = time.monotonic() + 20
        while time.monotonic() < ends and (sum(seen.values()) < 4_000 or not all(seen.values())):
            for path in ("swap/sub/secret.txt", "docs/../swap/sub/../sub/secret.txt"):
                try:
                    text = opened.read_file(path)
                except ToolError as exc:
                    text = str(exc)
                assert SECRET not in text
                assert "no file can have this name" not in text
                for what_was_seen in seen:
                    seen[what_was_seen] += what_was_seen in text
    assert all(seen.values()), seen


def test_a_fifo_that_is_swapped_in_does_not_hang(opened: Files, root: Path) -> None:
    os.mkfifo(root / "fifo")
    seen = dict.fromkeys(["1  first", "is a FIFO", "no such file"], 0)
    with swapping(root, "notes.txt", "fifo"):
        ends = time.monotonic() + 20
        while time.monotonic() < ends and (sum(seen.values()) < 2_000 or not all(seen.values())):
            try:
                text = opened.read_file("notes.txt")
            except ToolError as exc:
                text = str(exc)
            for what_was_seen in seen:
                seen[what_was_seen] += what_was_seen in text
    assert all(seen.values()), seen


def test_a_root_that_is_moved_and_replaced_stays_the_same(opened: Files, root: Path, outside: Path) -> None:
    root.rename(root.parent / "moved")
    root.symlink_to(outside)
    assert opened.read_file("notes.txt", 1, 1).startswith("1  first")
    assert "there is no such file" in refused(opened.read_file, "secret.txt")


def test_no_message_tells_where_the_root_is(opened: Files, root: Path, tmp_path: Path) -> None:
    (root / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "fifo")
    told = [refused(opened.read_file, path) for path in ("../x", "way", "way/x", "nothing", "fifo", "a\0", "x" * 999)]
    told += [opened.list_files(recursive=True), refused(opened.search_files, "x", "way")]
    assert not [text for text in told if str(tmp_path) in text]


def test_reading_changes_nothing(opened: Files, root: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    opened.list_files(recursive=True)
    opened.read_file("notes.txt")
    opened.search_files("notes")
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(opened: Files, root: Path) -> None:
    (root / "locked").touch(mode=0o000)
    assert refused(opened.read_file, "locked") == "'locked': may not be read here"


def test_a_root_that_is_no_directory_is_a_usage_error(root: Path) -> None:
    for path in (root / "notes.txt", root / "nothing"):
        with pytest.raises(UsageError, match="can't be opened"):
            Files(path)


def test_the_directory_is_closed_with_the_object(root: Path) -> None:
    for _ in range(5):
        files = Files(root)
        assert files.tools
        del files


def test_many_threads_share_one_object(opened: Files) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(opened.read_file("notes.txt") for _ in range(100)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["1  first\n2  second\n3  third"] * 800


@pytest.mark.cassette(tools="live")
def test_an_agent_uses_them(opened: Files) -> None:
    agent = Agent(model="gpt-oss-120b", tools=opened.tools)
    result = agent.run_sync("Look around.")
    assert [made.output for made in result.tool_calls] == [
        "docs/deep/\ndocs/guide.md  24 bytes",
        "2  second\n[lines 2 to 2 of 3; go on with start=3]",
        "docs/guide.md:1: # Guide",
        f"'../outside/secret.txt': {LEADS_OUT}",
    ]
    assert [made.outcome for made in result.tool_calls] == ["ok", "ok", "ok", "error"]


def test_the_schemas_are_strict_and_say_what_each_parameter_is(root: Path) -> None:
    for item in Files(root).tools:
        assert item.strict
        assert item.effect == "pure"
        assert all("description" in parameter for parameter in item.schema["properties"].values())
