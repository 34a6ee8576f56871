"""As whom PostgreSQL runs: it refuses to be root, so root lends it to the cluster's owner."""

import pwd
import stat
from pathlib import Path

_ROOT = 0
_UNCHANGED = -1


def first_owner(me: int) -> tuple[int, int]:
    """Give the user and group to own a new cluster made by user `me`, as chown takes them.

    Every system has `nobody`; a user of our own would stay behind in the machine's accounts.
    """
    if me != _ROOT:
        return _UNCHANGED, _UNCHANGED
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def identity(me: int, folder: Path) -> tuple[int | None, int | None]:
    """Give the user and group to run as on a cluster's folder; None for those of user `me`."""
    if me != _ROOT:
        return None, None
    owner = folder.stat()
    return owner.st_uid, owner.st_gid


def let_in(user: int | None, path: Path) -> None:
    """Let `user` pass through the folders above `path`, without letting anybody list them."""
    for folder in path.parents if user is not None else ():
        now = folder.stat()
        if now.st_uid != user and not now.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(now.st_mode) | stat.S_IXOTH)
