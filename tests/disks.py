"""Disks that are full and folders that cannot be written, as they are met in life."""

import errno
import os
import subprocess
from contextlib import contextmanager

import pytest


def _mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)


def _unmount(folder):
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)


@contextmanager
def small_disk(folder, size="1m"):
    """A file system of its own at a folder; skips where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix" or _mount("-t", "tmpfs", "-o", f"size={size}", "none", folder).returncode:
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield folder
    finally:
        _unmount(folder)


def fill(disk):
    """Take all the space there is; returns the file that has it."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return ballast


@contextmanager
def read_only(folder):
    """Nothing below a folder can be written; for root by a mount, which alone binds it."""
    if os.geteuid():
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
        for path, mode in modes.items():
            path.chmod(mode)
        return
    if _mount("--bind", folder, folder).returncode:
        pytest.skip("root can write everywhere unless it may mount")
    try:
        assert _mount("-o", "remount,ro,bind", folder).returncode == 0
        yield
    finally:
        _unmount(folder)
