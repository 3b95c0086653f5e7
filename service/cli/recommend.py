"""`modelpress recommend MODEL --dataset …`"""

import json
from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, show_json
from service.contract.recommendations import Expected, ExpectedRange, Recommendation
from service.contract.recommendations import Recommendations as Found
from service.reports import show
from service.reports.promises import worded

_WORDS = {
    "size_ratio": " of the bytes",
    "compression_ratio": "× fewer parameters",
    "macs_ratio": "× fewer MACs",
    "speedup": "× the speed",
    "accuracy_change_points": " points of test accuracy",
}


def recommend(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="mdl_…, or the job_… that made it.")],
    dataset: Annotated[str, typer.Option(help="What it is judged, trained and calibrated on.")],
    macs: Annotated[float | None, typer.Option(help="Most MACs, as a share of its own.")] = None,
    parameters: Annotated[float | None, typer.Option(help="Most parameters, as a share.")] = None,
    size_bytes: Annotated[int | None, typer.Option(help="Most bytes on disk.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Longest median latency.")] = None,
    min_speedup: Annotated[float | None, typer.Option(help="Least speed-up.")] = None,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(help="Most percentage points of accuracy that may be lost.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Where latency and speed-up are judged.")] = 1,
    most: Annotated[int, typer.Option(min=1, help="How many to show.")] = 3,
    follow: Annotated[
        int | None, typer.Option(min=1, help="Queue the jobs of the one of this rank.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what to do with a model to keep targets, and why; nothing is run but by --follow."""
    asked = {
        "macs": macs,
        "parameters": parameters,
        "size_bytes": size_bytes,
        "latency_ms": latency_ms,
        "min_speedup": min_speedup,
        "max_accuracy_drop_points": max_accuracy_drop,
    }
    targets = {name: value for name, value in asked.items() if value is not None}
    with connect(context) as client:
        given = targets | {"batch_size": batch_size} if targets else None
        found = client.recommend(model, dataset, targets=given)
        if as_json:
            show_json(found)
        elif follow is None:
            _show(found, most)
        if follow is not None:
            for job in client.follow(_of_rank(found, follow)):
                typer.echo(job.id, err=as_json)


def _of_rank(found: Found, rank: int) -> Recommendation:
    chosen = next((one for one in found.recommendations if one.rank == rank), None)
    if chosen is None:
        last = len(found.recommendations)
        raise typer.BadParameter(f"there are {last} of them", param_hint="--follow")
    return chosen


def _show(found: Found, most: int) -> None:
    for standing in found.targets:
        typer.echo(f"{standing.name}: {standing.text}")
    for note in found.notes:
        typer.echo(f"Note: {note}")
    for one in found.recommendations[:most]:
        typer.echo()
        _show_one(one)
    hidden = len(found.recommendations) - most
    if hidden > 0:
        typer.echo(f"\n{hidden} more: --most {len(found.recommendations)} shows them.")


def _show_one(one: Recommendation) -> None:
    typer.echo(f"{one.rank}. {one.title}\n   {one.reason}")
    for target in one.targets:
        typer.echo(f"   {target.name} {worded(target.name, target.asked)}: {target.outlook}")
    for name in Expected.model_fields:
        expected: ExpectedRange | None = getattr(one.expected, name)
        if expected is not None and (expected.low, expected.high) != (1, 1):  # as it is
            typer.echo(f"   expected {_span(expected)}{_WORDS[name]}: {expected.source.text}")
    for evidence in one.evidence:
        where = f" ({evidence.ref})" if evidence.ref else ""
        typer.echo(f"   {evidence.kind}{where}: {evidence.text}")
    for caveat in one.caveats:
        typer.echo(f"   But: {caveat}")
    for spec in one.specs:
        typer.echo(f"   {json.dumps(spec.model_dump(mode='json', exclude_unset=True))}")
    if one.chain is not None:
        typer.echo(f"   {one.chain}")


def _span(one: ExpectedRange) -> str:
    ends = dict.fromkeys(show.significant(end) for end in (one.low, one.high))
    return " to ".join(ends)
