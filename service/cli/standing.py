"""`modelpress workers`, `modelpress queue`, `modelpress capabilities`: how things stand."""

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, show_json
from service.cli.tables import show_facts, show_table
from service.contract.system import WorkerRead
from service.reports.show import duration


def workers(context: typer.Context, as_json: AsJson = False) -> None:
    """List the workers: what each computes on, and what it runs now."""
    with connect(context) as client:
        found = client.workers()
    if as_json:
        show_json(found)
        return
    show_table(
        ("Worker", "Host", "Device", "Jobs", "State", "Up since", "Runs"),
        map(_worker, found),
        spare=("Up since", "Host", "Runs"),
        empty="No workers. `modelpress worker` starts one; until then jobs wait.",
    )


def queue(context: typer.Context, as_json: AsJson = False) -> None:
    """Show how much work there is, and who does it."""
    with connect(context) as client:
        seen = client.queue()
    if as_json:
        show_json(seen)
        return
    show_facts(
        {
            **{f"Jobs {status}": str(count) for status, count in seen.jobs.items() if count},
            "Oldest waits": "" if seen.oldest_queued_s is None else duration(seen.oldest_queued_s),
            "Workers": str(seen.workers),
            "Jobs at once": str(seen.slots),
        }
    )


def capabilities(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the workers alive can do."""
    with connect(context) as client:
        seen = client.capabilities()
    if as_json:
        show_json(seen)
        return
    show_facts(
        {
            "Version": seen.version,
            "Kinds": ", ".join(seen.kinds),
            "Devices": ", ".join(seen.devices),
            "Datasets": ", ".join(seen.datasets),
            "Losses": ", ".join(seen.losses),
            "Pruning": ", ".join(seen.pruning),
            "Runtimes": ", ".join(seen.runtimes),
            "Exports": ", ".join(seen.exporters),
            "Architectures": f"{len(seen.architectures):,}; --json lists them",
        }
    )


def _worker(one: WorkerRead) -> tuple[str, ...]:
    state = "draining" if one.draining else "running" if one.alive else "lost"
    return (
        one.id,
        one.hostname,
        one.capabilities.device,
        f"{len(one.jobs)} of {one.slots}",
        state,
        age(one.started_at),
        " ".join(one.jobs),
    )
