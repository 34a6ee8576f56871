"""Settings that point at the local stack, while it runs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from app.database import Database
from app.local.language_model import LocalLanguageModel
from app.local.postgres import LocalPostgres
from app.settings import LMSettings, Settings

DATABASE = "dspatch"
LM = "local"


def without_keys(settings: Settings) -> Settings:
    """Give the settings of a server that asks for no keys, unless they say that it shall."""
    if "mode" in settings.auth.model_fields_set:
        return settings
    auth = settings.auth.model_copy(update={"mode": "none"})
    return settings.model_copy(update={"auth": auth})


@asynccontextmanager
async def local_stack(settings: Settings, data_dir: Path) -> AsyncIterator[Settings]:
    """Start the local PostgreSQL, migrated, and the local model where no other is set.

    Gives the settings that use them. LocalStackError where something cannot start.
    """
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(local_database(settings, data_dir))
        if not settings.lms and LocalLanguageModel.is_installed():
            model = await stack.enter_async_context(LocalLanguageModel(data_dir))
            local = local.model_copy(update={"lms": {LM: _lm(model)}})
        yield local


@asynccontextmanager
async def local_database(settings: Settings, data_dir: Path) -> AsyncIterator[Settings]:
    """Start the local PostgreSQL, migrated; give the settings that use it.

    LocalStackError where it cannot start.
    """
    async with LocalPostgres(data_dir) as postgres:
        await postgres.ensure_database(DATABASE)
        url = SecretStr(postgres.url(DATABASE))
        database = settings.database.model_copy(update={"url": url})
        await Database.migrate(database)
        yield settings.model_copy(update={"database": database})


def _lm(model: LocalLanguageModel) -> LMSettings:
    return LMSettings(
        model=f"openai/{model.MODEL_NAME}", api_base=model.base_url, params={"temperature": 0}
    )
