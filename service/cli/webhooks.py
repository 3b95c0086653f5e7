"""`modelpress webhooks …`"""

from enum import StrEnum
from itertools import islice
from typing import Annotated, cast

import typer

from service.cli.connect import connect
from service.cli.console import REFUSED, AsJson, age, complain, out, show_json
from service.cli.tables import show_table
from service.contract.webhooks import DeliveryRead, DeliveryStatus, JobOver

app = typer.Typer(help="Who is told when a job ends.", no_args_is_help=True)


class Event(StrEnum):
    """`JobOver`, as a repeated option takes it."""

    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of the webhook: whk_…")]


@app.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to POST: https://…")],
    event: Annotated[
        list[Event] | None, typer.Option(help="What to tell of; by default every end of a job.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "webhook",
    as_json: AsJson = False,
) -> None:
    """Make a webhook and print its secret, this once."""
    events = cast("list[JobOver]", [one.value for one in event or ()])
    with connect(context) as client:
        made = client.webhooks.create(url, events=events or None, name=name)
    if as_json:
        show_json(made)
    else:
        typer.echo(f"{made.id}\n{made.secret}")


@app.command("list")
def list_webhooks(context: typer.Context, as_json: AsJson = False) -> None:
    """List webhooks, without their secrets."""
    with connect(context) as client:
        hooks = list(client.webhooks.list())
    if as_json:
        show_json(hooks)
        return
    rows = ((hook.id, hook.name, hook.status, age(hook.succeeded_at), hook.url) for hook in hooks)
    show_table(
        ("Webhook", "Name", "Status", "Arrived", "URL"),
        rows,
        spare=("Arrived", "Name"),
        empty="No webhooks. `modelpress webhooks create URL` makes one.",
    )


@app.command()
def delete(context: typer.Context, webhook: WebhookId) -> None:
    """Forget a webhook with its messages."""
    with connect(context) as client:
        client.webhooks.delete(webhook)


@app.command("test")
def send_test(context: typer.Context, webhook: WebhookId, as_json: AsJson = False) -> None:
    """Send a test message and say what came of it."""
    with connect(context) as client:
        sent = client.webhooks.test(webhook)
    if as_json:
        show_json(sent)
    elif sent.status == "succeeded":
        out().print(f"{sent.id} was answered {sent.response_status}")
    if sent.status != "succeeded":
        complain(sent.error or f"{sent.id} has not been sent yet; see `webhooks deliveries`")
        raise typer.Exit(REFUSED)


@app.command()
def rotate(
    context: typer.Context,
    webhook: WebhookId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="How long the secret before it signs too.")
    ] = 24.0,
) -> None:
    """Change a webhook's secret and print the new one, this once."""
    with connect(context) as client:
        typer.echo(client.webhooks.rotate(webhook, overlap_s=round(overlap_hours * 3600)).secret)


@app.command()
def enable(context: typer.Context, webhook: WebhookId) -> None:
    """Use a disabled webhook again."""
    with connect(context) as client:
        client.webhooks.enable(webhook)


@app.command()
def deliveries(
    context: typer.Context,
    webhook: WebhookId,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List a webhook's messages, newest first."""
    with connect(context) as client:
        found = list(islice(client.webhooks.deliveries(webhook, status=status), limit))
    if as_json:
        show_json(found)
    else:
        columns = ("Message", "Event", "Status", "Tries", "Sent", "Outcome")
        spare = ("Tries", "Event", "Sent")
        show_table(columns, map(_row, found), spare=spare, empty="No messages.")


def _row(one: DeliveryRead) -> tuple[str, ...]:
    said = one.error or (f"answered {one.response_status}" if one.response_status else "")
    return (one.id, one.event, one.status, str(one.tries), age(one.tried_at), said)


@app.command()
def redeliver(
    context: typer.Context,
    webhook: WebhookId,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of the message: msg_…")],
) -> None:
    """Send a message that is over again."""
    with connect(context) as client:
        client.webhooks.redeliver(webhook, message)
