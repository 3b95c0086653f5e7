"""The real API over a real socket; only workers are missing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr

from service.api.head import HeadLimited
from service.app import create_app
from service.auth import generate_key
from service.config import Settings
from service.store.migrate import upgrade


@dataclass(frozen=True)
class Running:
    """Where a service answers, and to which key."""

    url: str
    key: str


class _Nowhere:
    """A relay whose nudges nobody hears."""

    def nudge(self, queue_name: str, job_id: str) -> None:
        return


@contextmanager
def running_api(folder: Path, key: str | None = None, **settings_: Any) -> Iterator[Running]:
    """An API on SQLite in `folder`; its key, which may be given, may do everything."""
    key = key or generate_key()
    settings = Settings(data_dir=folder, bootstrap_key=SecretStr(key), **settings_)
    upgrade(settings.database)
    app = create_app(settings, relay=_Nowhere())
    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        http=HeadLimited,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    pause = threading.Event()
    try:
        while not server.started:
            assert thread.is_alive()
            pause.wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", key)
    finally:
        app.hang_up()
        server.should_exit = True
        thread.join()
