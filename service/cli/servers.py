"""Commands that start processes, and those that ask how they are."""

import os
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from service.cli.connect import DATA_DIR, connect
from service.cli.console import INTERRUPTED, REFUSED, complain, out, size
from service.cli.database import said_in_words

db = typer.Typer(help="The database.", no_args_is_help=True)

DataDir = Annotated[Path, typer.Option(help="Folder for everything that is kept.")]
Host = Annotated[str, typer.Option(help="Address to bind to.")]

_GLANCE_S = 0.5


def up(
    data_dir: DataDir = DATA_DIR,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="By default 8000, or a free one; 0: a free one."),
    ] = None,
    host: Host = "127.0.0.1",
    worker: Annotated[bool, typer.Option(help="Start a worker beside the API.")] = True,
) -> None:
    """Start the whole service on this machine and stay."""
    from service.cli.signals import stops_like_ctrl_c
    from service.embedded import Stack, StackError

    try:
        with (
            stops_like_ctrl_c(),
            Stack(data_dir, host=host, port=port, worker=worker) as stack,
        ):
            try:
                _announce(stack.url, stack.key, stack.data_dir)
                while not threading.Event().wait(_GLANCE_S):
                    stack.check()
            except KeyboardInterrupt:
                out().print("Stopping …")
    except StackError as error:
        complain(str(error))
        raise typer.Exit(REFUSED) from error
    except KeyboardInterrupt:  # while it started, or again while it stopped
        raise typer.Exit(INTERRUPTED) from None


def _announce(url: str, key: str, data_dir: Path) -> None:
    out().print(
        "Modelpress is up. Ctrl-C stops it.\n\n"
        f"  URL    {url}\n"
        f"  Look   {url}/ui/sign-in#key={key}\n"
        f"  Docs   {url}/docs\n"
        f"  Key    {key}\n"
        f"  Data   {data_dir}\n\n"
        "In this folder `modelpress` finds it by itself; in others after\n\n"
        f"  export MODELPRESS_URL={url} MODELPRESS_KEY={key}\n"
        f"  or `modelpress login {url}` with the key\n",
        markup=False,
        soft_wrap=True,
    )


def api(
    host: Annotated[str | None, typer.Option(help="By default MODELPRESS_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="By default MODELPRESS_PORT.")
    ] = None,
) -> None:
    """Run the HTTP API in the foreground; MODELPRESS_* settings say where everything is."""
    import uvicorn

    from service.api.head import HeadLimited
    from service.app import create_app
    from service.config import Settings
    from service.logs import configure
    from service.tracing import tracer_of_process

    settings = Settings()
    configure(settings)
    app = create_app(settings, tracer=tracer_of_process("modelpress-api"))

    class Server(uvicorn.Server):
        """Ends open event streams first: uvicorn waits for connections before it stops."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.hang_up()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        log_config=None,  # ours stays
        access_log=False,
        server_header=False,
        http=HeadLimited,
        timeout_graceful_shutdown=5,  # a client that does not hang up must not hold it for ever
    )
    Server(config).run()


def worker() -> None:
    """Run a worker in the foreground; MODELPRESS_* settings say where everything is."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker.main"])  # noqa: S606  # no shell


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest schema. Safe to run twice, or from two places at once."""
    from service.config import Settings
    from service.store.migrate import upgrade

    url = Settings().database
    with said_in_words():
        upgrade(url)
    typer.echo("The database is at the newest schema.")


@db.command("gc")
def db_gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; delete nothing.")] = False,
) -> None:
    """Delete blobs that nothing names any more, as the API does by itself every hour.

    Works on the database and the blobs of the MODELPRESS_* settings, beside a running service.
    """
    from service.blobs import BlobError
    from service.config import Settings
    from service.keeping import collect
    from service.store.session import Database
    from service.wiring import open_blob_store

    settings = Settings()
    with said_in_words(), closing(Database(settings.database, pool_size=1)) as database:
        try:
            found = collect(
                database, open_blob_store(settings), settings.blob_grace_s, dry_run=dry_run
            )
        except BlobError as error:
            complain(f"the blob store does not answer: {error}\nCheck MODELPRESS_BLOBS_URL.")
            raise typer.Exit(REFUSED) from error
    done = "would be deleted" if dry_run else "deleted"
    typer.echo(f"{found.blobs} blobs of {size(found.bytes) or '0 B'} {done}.")


def health(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="Where the service is.")] = None,
) -> None:
    """Ask the service whether it can take jobs."""
    with connect(context, url) as client:
        seen = client.health()
    parts = {"database": seen.database, "blobs": seen.blobs, "broker": seen.broker}
    down = ", ".join(name for name, state in parts.items() if state == "down")
    if seen.status == "unavailable":
        complain(f"{client.url} cannot take jobs; down: {down}")
        raise typer.Exit(REFUSED)
    typer.echo(f"{client.url} is {seen.status}{down and f'; down: {down}'}")


def worker_health() -> None:
    """Tell whether this machine's worker was heard of within its lease; for health checks."""
    from service.config import Settings
    from service.store.session import Database
    from service.store.workers import WorkerStore

    settings = Settings()
    with (
        said_in_words(),
        closing(Database(settings.database, pool_size=1)) as database,
        database.read() as session,
    ):
        alive = WorkerStore(session).alive(settings.lease_s)
    here = [row.id for row in alive if row.hostname == settings.worker_name]
    if not here:
        complain(f"no worker of {settings.worker_name} was heard of in {settings.lease_s:.0f} s")
        raise typer.Exit(REFUSED)
    typer.echo(f"{', '.join(here)} alive")
