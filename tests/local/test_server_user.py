import os
import pwd
from pathlib import Path

from app.local import server_user

SOMEBODY = 4242


def test_root_gives_a_cluster_to_nobody() -> None:
    """A cluster made by root belongs to the user that owns nothing."""
    nobody = pwd.getpwnam("nobody")
    assert server_user.first_owner(0) == (nobody.pw_uid, nobody.pw_gid)


def test_anybody_else_keeps_it() -> None:
    """A cluster made by another user stays that user's."""
    assert server_user.first_owner(SOMEBODY) == (-1, -1)


def test_root_runs_as_the_owner(tmp_path: Path) -> None:
    """Root takes on the user and group of the cluster's folder."""
    assert server_user.identity(0, tmp_path) == (os.geteuid(), os.getegid())


def test_anybody_else_runs_as_oneself(tmp_path: Path) -> None:
    """Another user changes nothing."""
    assert server_user.identity(SOMEBODY, tmp_path) == (None, None)


def test_the_way_is_opened_no_wider_than_needed(tmp_path: Path) -> None:
    """A closed folder may be passed through, not listed; an open one stays as it is."""
    inner = tmp_path / "closed" / "open" / "cluster"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "closed" / "open").chmod(0o755)
    inner.chmod(0o700)
    server_user.let_in(SOMEBODY, inner)
    found = [path.stat().st_mode & 0o777 for path in (inner, *inner.parents[:2])]
    assert found == [0o700, 0o755, 0o701]


def test_a_user_needs_no_way_to_itself(tmp_path: Path) -> None:
    """Folders stay closed where no other user has to pass, or where they are that user's own."""
    tmp_path.chmod(0o700)
    server_user.let_in(None, tmp_path / "cluster")
    server_user.let_in(os.geteuid(), tmp_path / "cluster")
    assert tmp_path.stat().st_mode & 0o777 == 0o700
