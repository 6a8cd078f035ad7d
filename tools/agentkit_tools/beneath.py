"""Opening what lies beneath one directory, and nothing else, for reading.

A path is never checked first and opened later: between the two, anything can be swapped. On Linux the kernel
resolves it in one step that can't leave the directory (openat2(2)); elsewhere each component is opened from the
one before it, no link is followed by the system, and links are resolved here. Both ways give the same answers:
links that stay beneath are followed; absolute ones, and those that climb out, are refused, as are `/proc`'s magic
links. What is neither a regular file nor a directory is not opened, so that a FIFO can't hang and a device
does nothing. A hard link is the file itself: nothing tells one name from another, or where the others are, but
that there are several, and then a file is not opened either unless `hard_links` are allowed.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Opening: TypeAlias = Literal["openat2", "components"]
"""How paths are resolved: by the kernel in one step, or one component after the other."""

MAX_LINKS: Final = 40
"""Links on one path, as in Linux."""
MAX_COMPONENTS: Final = 256

_O_PATH = getattr(os, "O_PATH", 0)
_READ = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class WrongKind(OSError):
    """Something else is there than what was to be opened; `.found` names it, such as "a FIFO"."""

    def __init__(self, mode: int) -> None:
        super().__init__(errno.EINVAL, "not of the kind that was to be opened")
        self.found = kind_of(mode)


def kind_of(mode: int) -> str:
    """Return what a `st_mode` stands for in words, such as "a FIFO"."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


class Root:
    """A directory held open: moved or replaced, it stays the one that it was. Safe to use from many threads."""

    def __init__(
        self, path: str | os.PathLike[str], *, hard_links: bool = False, opening: Opening | None = None
    ) -> None:
        """Open the directory, closed again with the object; `opening` is chosen by what the system has.

        Raises `OSError`, also for an `opening` that the system doesn't have.
        """
        if os.open not in os.supports_dir_fd:
            raise OSError(errno.ENOSYS, "this system can't open files relative to a directory")
        self._hard_links = hard_links
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)
        if opening == "openat2":
            os.close(_openat2(self._fd, b".", _O_PATH | os.O_CLOEXEC))
        self.opening: Opening = opening or ("openat2" if _has_openat2(self._fd) else "components")

    def open_file(self, path: str) -> int:
        """Return a descriptor of the regular file, which the caller closes.

        Raises `OSError`, see `open_directory`, and EMLINK for a file with several names.
        """
        return self._open(path, stat.S_ISREG, 0)

    def open_directory(self, path: str) -> int:
        """Return a descriptor of the directory, which the caller closes.

        Raises `WrongKind` for anything else there, and `OSError`: EXDEV where the path leads out, ELOOP for too
        many or magic links, EINVAL for a path that no file can have.
        """
        return self._open(path, stat.S_ISDIR, os.O_DIRECTORY)

    def _open(self, path: str, wanted: Callable[[int], bool], flags: int) -> int:
        name = _encoded(path)
        if self.opening == "openat2":
            fd = _open_at_once(self._fd, name, wanted, _READ | flags)
        else:
            fd = _open_by_components(self._fd, name, wanted, _READ | flags)
        try:
            status = os.fstat(fd)
            _check_kind(status.st_mode, wanted)
            if not self._hard_links:
                _check_links(status)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _encoded(path: str) -> bytes:
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as exc:
        raise OSError(errno.EINVAL, "a name with characters that no file has") from exc
    if b"\0" in name:  # ctypes would take what is before it
        raise OSError(errno.EINVAL, "a name with a NUL character")
    return name


def _check_kind(mode: int, wanted: Callable[[int], bool]) -> None:
    if not wanted(mode):
        raise WrongKind(mode)


def _check_links(status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))


# --- by the kernel -----------------------------------------------------------------------------------------

# openat2(2); the number is the same on every architecture but alpha
_SYS_OPENAT2 = 437
# "Do not permit the path resolution to succeed if any component of the resolution is not a descendant of the
# directory indicated by dirfd." and "Disallow all magic-link resolution during path resolution." (openat2(2))
_RESOLVE = 0x08 | 0x02
_TRIES = 32


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _open_at_once(root: int, name: bytes, wanted: Callable[[int], bool], flags: int) -> int:
    looked_at = _openat2(root, name, _O_PATH | os.O_CLOEXEC)  # opens nothing: a device does not notice
    try:
        _check_kind(os.fstat(looked_at).st_mode, wanted)
    finally:
        os.close(looked_at)
    return _openat2(root, name, flags)  # whatever is there by now lies beneath, and is checked once more


def _openat2(root: int, name: bytes, flags: int) -> int:
    how = _OpenHow(flags, 0, _RESOLVE)
    code = errno.EAGAIN
    for _ in range(_TRIES):
        fd = int(_syscall()(_SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how)))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        # "The caller may wish to retry": a rename beside a ".." (openat2(2), EAGAIN)
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code))


@functools.cache
def _syscall() -> Callable[..., int]:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "openat2 is Linux's")
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t]
    syscall.restype = ctypes.c_long
    return syscall


def _has_openat2(root: int) -> bool:
    try:
        os.close(_openat2(root, b".", _O_PATH | os.O_CLOEXEC))
    except OSError:  # before Linux 5.6, or kept away by a sandbox
        return False
    return True


# --- by components -----------------------------------------------------------------------------------------


def _open_by_components(root: int, path: bytes, wanted: Callable[[int], bool], flags: int) -> int:
    """Open step by step; `..` goes back to the directory that was come through, and never above the root."""
    todo = deque(_components(path))
    opened: list[int] = []
    links = 0
    try:
        while todo:
            name = todo.popleft()
            here = opened[-1] if opened else root
            if name == b".":
                continue
            if name == b"..":
                if not opened:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                os.close(opened.pop())
                continue
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                _follow(_target(name, here), todo, links)
            elif todo:
                opened.append(os.open(name, _READ | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here))
            else:
                _check_kind(mode, wanted)
                return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
            if len(opened) > MAX_COMPONENTS:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return os.open(b".", flags, dir_fd=opened[-1] if opened else root)
    finally:
        for fd in opened:
            os.close(fd)


def _target(name: bytes, here: int) -> bytes:
    try:
        return os.readlink(name, dir_fd=here)
    except OSError as exc:
        # "The named file is not a symbolic link." (readlink(2), EINVAL): what was one is gone by now
        code = errno.ENOENT if exc.errno == errno.EINVAL else exc.errno
        raise OSError(code, os.strerror(code or 0)) from exc


def _components(path: bytes) -> list[bytes]:
    """Return the names of a path; a trailing "." keeps what ends in "/" or "/." from being a file."""
    if path.startswith(b"/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    if not path:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    names = [name for name in path.split(b"/") if name not in (b"", b".")]
    return [*names, b"."] if names and path.endswith((b"/", b"/.")) else names


def _follow(target: bytes, todo: deque[bytes], links: int) -> None:
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    todo.extendleft(reversed(_components(target)))
