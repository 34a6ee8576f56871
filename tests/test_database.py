import asyncio
import socket
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from app.database import _MIGRATION_LOCK, RETRY_AFTER_S, Database, SchemaError
from app.errors import DatabaseUnavailableError, SignatureNotFoundError
from app.local.postgres import LocalPostgres
from app.policies.clock import SystemClock
from app.settings import DatabaseSettings, SettingsError
from tests.stores.rows import IDS, a_signature
from tests.support.clock import ManualClock

SECRET = "s3cret"  # noqa: S105 - what must not be seen

Connect = Callable[..., Database]
Raw = asyncpg.Connection[Any] if False else Any
