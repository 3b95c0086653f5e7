"""`modelpress datasets …`"""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from service.cli import completion
from service.cli.connect import connect
from service.cli.console import AsJson, age, out, show_json, size, transfer
from service.cli.resources import Limit, Name, refuse_rejected
from service.cli.tables import show_facts, show_table
from service.client import Client
from service.client.datasets import Dataset
from service.contract.datasets import DatasetFindings, DatasetFormat, DatasetRead

app = typer.Typer(help="Upload, show and list datasets.", no_args_is_help=True)

DatasetId = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="Id: dst_…", autocompletion=completion.datasets),
]

_CLASSES_SHOWN = 30


@app.command("push")
def push(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(help="A folder of images, a .npz, .zip or .parquet; or a path in --source."),
    ],
    format_name: Annotated[
        DatasetFormat | None, typer.Option("--format", help="By default from the suffixes.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A source that the operator declared: no upload.")
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="Cut from train if there is no validation split.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Side to resize images to.")] = None,
    undecodable_share: Annotated[
        float | None, typer.Option(help="Skip images that cannot be read, up to this share.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the splits.")] = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Upload data and register it as a dataset."""
    with connect(context) as client:
        try:
            dataset = _registered(
                client,
                path,
                source,
                format_name,
                name=name,
                validation_share=validation_share,
                image_size=image_size,
                undecodable_share=undecodable_share,
                seed=seed,
            )
        except ValueError as error:  # an unknown suffix, an empty folder
            raise typer.BadParameter(str(error)) from error
    if as_json:
        show_json(dataset.data)
    else:
        typer.echo(f"{dataset.id} {dataset.data.status}")
        if dataset.data.findings is not None:
            _show_findings(dataset.data.findings)
    refuse_rejected(dataset.data.status, dataset.data.error)


@app.command("show")
def show(
    context: typer.Context,
    dataset_id: DatasetId,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Save the contact sheet to this PNG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a dataset: splits, classes, what stands out."""
    with connect(context) as client:
        dataset = client.datasets.get(dataset_id)
        if sheet is not None:
            dataset.contact_sheet(sheet)
    if as_json:
        show_json(dataset.data)
    else:
        _show(dataset.data)
    refuse_rejected(dataset.data.status, dataset.data.error)


@app.command("list")
def list_datasets(context: typer.Context, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List datasets, newest first."""
    with connect(context) as client:
        found = [dataset.data for dataset in islice(client.datasets.list(), limit)]
    if as_json:
        show_json(found)
        return
    rows = (
        (
            dataset.id,
            dataset.status,
            "" if dataset.classes is None else str(dataset.classes),
            size(dataset.bytes),
            dataset.name,
            age(dataset.created_at),
        )
        for dataset in found
    )
    show_table(
        ("Dataset", "Status", "Classes", "Size", "Name", "Created"),
        rows,
        spare=("Classes", "Size", "Created"),
        empty="No datasets of your own: `modelpress datasets push` uploads one. Built-in ones, "
        "such as digits, are not listed.",
    )


@app.command("delete")
def delete(context: typer.Context, dataset_id: DatasetId) -> None:
    """Forget a dataset. Not while an unfinished job needs it."""
    with connect(context) as client:
        client.datasets.get(dataset_id).delete()


def _registered(
    client: Client,
    path: Path,
    source: str | None,
    form: DatasetFormat | None,
    **asked: float | int | str | None,
) -> Dataset:
    if source is None:
        if not path.exists():
            raise ValueError(f"{path} does not exist")
        with transfer(path.name) as on_bytes:
            return client.datasets.register(
                path,
                format=form,
                on_bytes=on_bytes,
                **asked,  # type: ignore[arg-type]
            )
    if form is None:
        raise ValueError("a file of a source needs --format")
    return client.datasets.register_source(
        source,
        path.as_posix(),
        format=form,
        **asked,  # type: ignore[arg-type]
    )


def _show(dataset: DatasetRead) -> None:
    facts = {
        "Dataset": f"{dataset.id} ({dataset.status})",
        "Name": dataset.name,
        "Came as": dataset.format + ("" if dataset.source is None else f" from {dataset.source}"),
        "Input": "" if dataset.input_size is None else "×".join(map(str, dataset.input_size)),
        "Size": size(dataset.bytes),
        "Digest": dataset.digest or "",
    }
    if dataset.normalisation is not None:
        facts["Mean"] = "  ".join(f"{value:.4f}" for value in dataset.normalisation.mean)
        facts["Deviation"] = "  ".join(f"{value:.4f}" for value in dataset.normalisation.std)
    show_facts(facts)
    if dataset.class_counts is not None:
        out().print()
        show_table(("Class", *map(str.capitalize, dataset.class_counts)), _class_rows(dataset))
    if dataset.findings is not None:
        out().print()
        _show_findings(dataset.findings)


def _class_rows(dataset: DatasetRead) -> list[tuple[str, ...]]:
    counts = dataset.class_counts or {}
    classes = dataset.classes or 0
    names = dataset.labels or tuple(map(str, range(classes)))
    rows = [
        (names[index], *(f"{split[index]:,}" for split in counts.values()))
        for index in range(min(classes, _CLASSES_SHOWN))
    ]
    if classes > _CLASSES_SHOWN:
        rows.append((f"… {classes - _CLASSES_SHOWN:,} more", *("" for _ in counts)))
    return [*rows, ("all", *(f"{sum(split):,}" for split in counts.values()))]


def _show_findings(found: DatasetFindings) -> None:
    if (sizes := found.image_sizes) is not None:
        spans = (sizes.smallest, sizes.largest, sizes.commonest)
        smallest, largest, commonest = (f"{height}×{width}" for height, width in spans)
        out().print(f"Images from {smallest} to {largest}, most of them {commonest} (H×W)")
    for shared in found.duplicates:
        first, second = shared.splits
        out().print(f"Examples of {second} that {first} has too: {shared.count:,}", style="yellow")
    if found.undecodable:
        names = ", ".join(found.undecodable_names[:3])
        more = ", …" if found.undecodable > 3 else ""
        words = f"Unreadable images left out: {found.undecodable:,} ({names}{more})"
        out().print(words, style="yellow", markup=False)
