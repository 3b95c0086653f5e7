"""`modelpress models …`"""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from service.cli import completion
from service.cli.connect import connect
from service.cli.console import REFUSED, AsJson, age, complain, out, show_json, size, transfer
from service.cli.tables import show_facts, show_table
from service.client import Client, Model
from service.contract.base import CheckStatus
from service.contract.job_errors import JobError
from service.reports.key_figures import shown_figure
from service.reports.show import count, counts, percent

N = TypeVar("N", int, float)

models = typer.Typer(help="Upload, download and list models.", no_args_is_help=True)

ModelId = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Id of the model: mdl_…", autocompletion=completion.models
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Name = Annotated[str | None, typer.Option(help="What to call it; by default as the file.")]


@models.command("push")
def push_model(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            exists=True, help="A model folder, or a .safetensors, .pt, .onnx or .zip file."
        ),
    ],
    architecture: Annotated[
        str | None, typer.Option(help="Whose weights they are; .onnx and folders say it.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of outputs; by default as in the file.")
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(help="One input's shape, such as 3,32,32.")
    ] = None,
    options: Annotated[str | None, typer.Option(help="Architecture options, as JSON.")] = None,
    mean: Annotated[str | None, typer.Option(help="Per channel, a,b,c.")] = None,
    std: Annotated[str | None, typer.Option(help="Per channel, a,b,c.")] = None,
    labels: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Names of classes, one a line.")
    ] = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Upload weights or a graph and register it as a model.

    What is not said comes from the file, else from the architecture's defaults.
    """
    with connect(context) as client:
        register = client.models.register_folder if path.is_dir() else client.models.register
        try:
            with transfer(path.name) as on_bytes:
                model = register(
                    path,
                    architecture=architecture,
                    classes=classes,
                    input_size=None if input_size is None else _numbers(input_size, int),
                    options=_options(options),
                    mean=None if mean is None else _numbers(mean, float),
                    std=None if std is None else _numbers(std, float),
                    labels=None if labels is None else labels.read_text("utf-8").splitlines(),
                    name=name,
                    on_bytes=on_bytes,
                )
        except (FileNotFoundError, ValueError) as error:  # no config.json; a mean without a std
            raise typer.BadParameter(str(error)) from error
    if as_json:
        show_json(model.data)
    else:
        typer.echo(f"{model.id} {model.data.status}")
        for note in model.data.notes:
            typer.echo(f"  {note}")
    refuse_rejected(model.data.status, model.data.error)


@models.command("pull")
def pull_model(
    context: typer.Context,
    model_id: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="mdl_…, or the job_… it is of.",
            autocompletion=completion.models,
        ),
    ],
    target: Annotated[
        Path | None, typer.Argument(help="Folder to make, or file for another format.")
    ] = None,
    format_name: Annotated[str, typer.Option("--format", help="folder, safetensors …")] = "folder",
) -> None:
    """Download a model; `modelpress.load` takes the folder."""
    with connect(context) as client:
        model = _model_of(client, model_id)
        suffix = "" if format_name == "folder" else f".{format_name}"
        target = target or Path(f"{model.id}{suffix}")
        with transfer(model.data.name) as on_bytes:
            model.download(target, format=format_name, on_bytes=on_bytes)
    out().print(str(target), markup=False)


@models.command("list")
def list_models(context: typer.Context, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List models, newest first."""
    with connect(context) as client:
        found = [model.data for model in islice(client.models.list(), limit)]
    if as_json:
        show_json(found)
        return
    parameters = counts([model.parameters for model in found], missing="")
    rows = (
        (
            model.id,
            model.architecture or "",
            model.status,
            many,
            size(model.size_bytes),
            percent(model.metrics["test_accuracy"]) if "test_accuracy" in model.metrics else "",
            model.name,
            age(model.created_at),
        )
        for model, many in zip(found, parameters, strict=True)
    )
    show_table(
        ("Model", "Architecture", "Status", "Parameters", "Size", "Accuracy", "Name", "Created"),
        rows,
        spare=("Parameters", "Architecture", "Created", "Size", "Status"),
        empty="No models. `modelpress models push` uploads one, and jobs make them.",
    )


@models.command("show")
def show_model(context: typer.Context, model_id: ModelId, as_json: AsJson = False) -> None:
    """Show a model: what it is, its figures, where it comes from, how it can be downloaded."""
    with connect(context) as client:
        model = client.models.get(model_id)
        lineage = model.lineage()
        formats = {} if as_json or model.data.status != "ready" else model.formats()
    if as_json:
        show_json(lineage)
        return
    data = model.data
    show_facts(
        {
            "Model": data.id,
            "Status": data.status,
            "Name": data.name,
            "Architecture": data.architecture or "",
            "Input": "×".join(map(str, data.input_size or ())),
            "Classes": "" if data.classes is None else str(data.classes),
            "Parameters": "" if data.parameters is None else count(data.parameters),
            "MACs": "" if data.macs is None else count(data.macs),
            "Size": size(data.size_bytes),
            **{
                name: shown_figure(name, value)
                for name, value in data.metrics.items()
                if name not in ("parameters", "size_bytes", "macs")
            },
            "Made by": data.job or "",
            "From": " ← ".join(one.id for one in lineage.ancestors),
            "Children": " ".join(one.id for one in lineage.children),
            "Formats": ", ".join(f"{name} {size(each)}" for name, each in formats.items()),
            "Error": "" if data.error is None else f"{data.error.code}: {data.error.message}",
            "Created": age(data.created_at),
        }
    )


@models.command("lineage")
def show_lineage(context: typer.Context, model_id: ModelId, as_json: AsJson = False) -> None:
    """Show what a model was made from, and what was made from it, oldest first."""
    with connect(context) as client:
        found = client.models.get(model_id).lineage()
    if as_json:
        show_json(found)
        return
    family = [
        *(("ancestor", each) for each in reversed(found.ancestors)),
        ("this", found.model),
        *(("child", each) for each in found.children),
    ]
    rows = (
        (each.id, kin, each.architecture or "", each.name, size(each.size_bytes), each.job or "")
        for kin, each in family
    )
    columns = ("Model", "Kin", "Architecture", "Name", "Size", "Made by")
    show_table(columns, rows, spare=("Made by", "Architecture"))


@models.command("delete")
def delete_model(context: typer.Context, model_id: ModelId) -> None:
    """Forget a model. Not while an unfinished job needs it."""
    with connect(context) as client:
        client.models.get(model_id).delete()


def _model_of(client: Client, given: str) -> Model:
    if not given.startswith("job_"):
        return client.models.get(given)
    job = client.jobs.get(given)
    if job.data.model is None:
        complain(f"{given} is {job.status} and has made no model; `jobs watch {given}` waits")
        raise typer.Exit(REFUSED)
    return job.model


def _numbers(text: str, kind: type[N]) -> list[N]:
    try:
        return [kind(part) for part in text.replace("x", ",").split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} must be numbers with commas between") from error


def _options(text: str | None) -> dict[str, Any] | None:
    try:
        given = None if text is None else json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--options must be JSON: {error}") from error
    if given is not None and not isinstance(given, dict):
        raise typer.BadParameter('--options must be an object, such as {"hidden": [64]}')
    return given


def refuse_rejected(status: CheckStatus, error: JobError | None) -> None:
    """Say why a worker did not take it, and exit."""
    if status == "rejected":
        assert error is not None
        complain(f"rejected ({error.code}): {error.message}. {error.hint or ''}".rstrip())
        raise typer.Exit(REFUSED)
