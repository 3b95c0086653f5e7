"""The API: `create_app(settings)` builds what it stands on and mounts the routes."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from service.api import (
    audit,
    comparisons,
    datasets,
    events,
    files,
    health,
    jobs,
    keys,
    limits,
    models,
    openapi,
    problems,
    recommendations,
    records,
    system,
    webhooks,
)
from service.api.feed import Feed
from service.api.measures import Measures
from service.api.middleware import Edge
from service.api.rates import Rates
from service.audit import Trail
from service.auth import Keyring, ensure_key
from service.blobs import BlobStore
from service.config import Settings
from service.contract.webhooks import DeliveryStatus
from service.keeping import Keeper
from service.mlflow.exporter import exporter_of
from service.queue import JobQueue, broker_answers
from service.relay import Relay
from service.services import Nudger, Services
from service.store.session import Database
from service.sweep import Sweep
from service.tracing import NO_TRACER, Tracer
from service.web import install as install_web
from service.webhooks.courier import Courier
from service.webhooks.sending import Sender
from service.wiring import open_blob_store

_DESCRIPTION = (
    "Makes trained PyTorch models smaller and faster, and proves it. "
    "Upload weights or train, distill, benchmark; read the report."
)
_ROUTERS = (
    jobs,
    records,
    events,
    models,
    datasets,
    comparisons,
    recommendations,
    files,
    system,
    keys,
    limits,
    webhooks,
    audit,
    health,
)


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    blobs: BlobStore | None = None,
    relay: Nudger | None = None,
    tracer: Tracer = NO_TRACER,
) -> Edge:
    """The ASGI application. What is passed in replaces what the settings name, for tests: then
    the caller owns it, and with a `relay` of its own no sweep runs. Takes the tracer, and closes
    it."""
    own_database = database is None
    database = database or Database(settings.database)
    services = Services(
        settings=settings,
        database=database,
        blobs=blobs or open_blob_store(settings),
        relay=relay or _NoRelay(),
        keyring=Keyring(database),
        trail=Trail(database),
        broker_reachable=lambda: False,
    )
    database.witness = services.trail
    feed = Feed(database)
    measures = Measures(lambda: feed.subscribers)
    app = FastAPIOffline(
        title="Modelpress",
        version=version("modelpress"),
        description=_DESCRIPTION,
        lifespan=_lifespan(
            settings,
            services,
            feed,
            tracer,
            own_relay=relay is None,
            own_database=own_database,
        ),
        generate_unique_id_function=_operation_id,
        redoc_url=None,
    )
    app.state.services = services
    app.state.feed = feed
    app.state.measures = measures
    app.state.rates = rates = Rates(settings)
    for module in _ROUTERS:
        app.include_router(module.router)
    problems.install(app)
    openapi.install(app)
    install_web(app, settings.data_dir / "cache")
    return Edge(
        app,
        max_body_bytes=settings.max_body_bytes,
        trail=services.trail,
        rate_policy=rates.header,
        observe=measures.observe,
        hang_up=feed.hang_up,
        tracer=tracer,
    )


class _NoRelay:
    """Before the application has started, nothing is sent: the sweep would find it."""

    def nudge(self, queue_name: str, job_id: str) -> None:
        return


def _lifespan(
    settings: Settings,
    services: Services,
    feed: Feed,
    tracer: Tracer,
    *,
    own_relay: bool,
    own_database: bool,
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.bootstrap_key is not None:
            ensure_key(services.database, settings.bootstrap_key.get_secret_value(), "bootstrap")
        feed.start()
        services.trail.start()
        with contextlib.ExitStack() as stack:
            stack.callback(tracer.close)
            if own_database:
                stack.callback(services.database.close)
            stack.callback(services.trail.close)
            if own_relay:
                app.state.services = _start_queue(
                    settings, services, stack, app.state.measures.tried
                )
            try:
                yield
            finally:
                await feed.close()

    return lifespan


def _start_queue(
    settings: Settings,
    services: Services,
    stack: contextlib.ExitStack,
    tried: Callable[[DeliveryStatus], None],
) -> Services:
    """Relay, sweep, courier and exporter on threads of their own, until the stack unwinds."""
    queue = JobQueue(settings.broker)
    relay = Relay(queue)
    sweep = Sweep(services.database, services.blobs, relay.nudge, settings)
    relay.start()
    stack.callback(queue.close)
    stack.callback(relay.close)
    sweep.start()
    stack.callback(sweep.close)
    keeper = Keeper(services.database, services.blobs, settings)
    keeper.start()
    stack.callback(keeper.close)
    sender = Sender(settings.own_networks)
    courier = Courier(services.database, sender, version("modelpress"), tried)
    courier.start()
    stack.callback(courier.close)
    exporter = exporter_of(settings, services.database, services.blobs, version("modelpress"))
    if exporter is not None:
        exporter.start()
        stack.callback(exporter.close)
    return replace(services, relay=relay, broker_reachable=lambda: broker_answers(settings.broker))


def _operation_id(route: APIRoute) -> str:
    return route.name
