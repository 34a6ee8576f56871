"""Keys as their holders have them: `dsp_<id>_<secret>`, where the secret ends in a checksum."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from zlib import crc32

ID_LENGTH = 8
SECRET_LENGTH = 43
"""256 bits of chance, before the checksum."""

_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID = r"[0-9a-z]{8}"
_SHAPE = re.compile(rf"dsp_({ID})_([0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})")

Choose = Callable[[str], str]
"""Takes one letter by chance: `secrets.choice`."""


@dataclass(frozen=True)
class KeyText:
    """A key; only its id may be shown."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, choose: Choose) -> "KeyText":
        """Make a key that nobody can guess."""
        key_id = "".join(choose(_ID_LETTERS) for _ in range(ID_LENGTH))
        chance = "".join(choose(_LETTERS) for _ in range(SECRET_LENGTH))
        return cls(key_id, chance + _checksum(key_id, chance))

    @classmethod
    def parse(cls, text: str) -> "KeyText | None":
        """Read a key; None where it is none, or one with a mistake in it."""
        found = _SHAPE.fullmatch(text)
        if found is None or _checksum(found[1], found[2]) != found[3]:
            return None
        return cls(found[1], found[2] + found[3])

    @property
    def text(self) -> str:
        """The whole key, to be shown once."""
        return f"dsp_{self.key_id}_{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the secret, which is all that is kept of it."""
        return sha256(self.secret.encode()).digest()


def _checksum(key_id: str, chance: str) -> str:
    """Write CRC-32 of both in six letters: it finds every mistake in one letter."""
    rest, letters = crc32(f"{key_id}_{chance}".encode()), ""
    for _ in range(6):
        rest, letter = divmod(rest, len(_LETTERS))
        letters += _LETTERS[letter]
    return letters
