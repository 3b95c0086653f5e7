"""`modelpress`: the command line, thin over the SDK."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from service.cli import (
    audit,
    compare,
    datasets,
    jobs,
    keys,
    limits,
    mlflow,
    recommend,
    resources,
    servers,
    webhooks,
)
from service.cli.connect import Target
from service.cli.console import EXIT_CODES, REFUSED, UNREACHABLE, USAGE, complain
from service.client import ApiError, ClientError, Unauthorized, UnexpectedAnswer, Unreachable

app = typer.Typer(
    name="modelpress",
    help="Make trained PyTorch models smaller and faster, and prove it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from modelpress import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="Service to talk to; by default MODELPRESS_URL.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Key to show it; by default MODELPRESS_KEY.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Make trained PyTorch models smaller and faster, and prove it."""
    context.obj = Target(url, key)


def _demo(
    keep: Annotated[Path, typer.Option(help="Folder for the report and the student.")] = Path(
        "modelpress-demo"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="One epoch each: shows the way, not the quality.")
    ] = False,
) -> None:
    """Train a teacher on handwritten digits, distill a student, and show what was gained."""
    from service.cli.demo import demo  # it brings half of the service along

    demo(keep, quick)


app.command("up")(servers.up)
app.command("demo")(_demo)
app.add_typer(jobs.app, name="jobs")
app.add_typer(resources.models, name="models")
app.add_typer(datasets.app, name="datasets")
app.command("report")(resources.report)
app.command("compare")(compare.compare)
app.command("recommend")(recommend.recommend)
app.add_typer(keys.app, name="keys")
app.command("audit")(audit.audit)
app.add_typer(limits.app, name="limits")
app.command("usage")(limits.usage)
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(mlflow.app, name="mlflow")
app.command("health")(servers.health)
app.command("api")(servers.api)
app.command("worker")(servers.worker)
app.command("worker-health")(servers.worker_health)
app.add_typer(servers.db, name="db")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: see `EXIT_CODES`. Errors are said in words, without a traceback."""
    try:
        app(args=None if arguments is None else list(arguments))
    except ClientError as error:
        raise SystemExit(_explained(error)) from error
    except OSError as error:  # a file of the caller's that cannot be read or written
        complain(str(error))
        raise SystemExit(REFUSED) from error
    except ValidationError as error:
        if error.title != "Settings":
            raise
        complain(_wrong_settings(error))
        raise SystemExit(USAGE) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("service", "worker", "modelpress"):
            raise
        complain(
            f"this command needs {error.name}, which is not installed.\n"
            "Install it: pip install 'modelpress[all]'"
        )
        raise SystemExit(REFUSED) from error


def _wrong_settings(error: ValidationError) -> str:
    wrong = (
        f"\n  MODELPRESS_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    )
    return f"the environment holds settings that cannot be:{''.join(wrong)}"


def _explained(error: ClientError) -> int:
    match error:
        case Unreachable():
            complain(f"{error}\nStart one with `modelpress up`, or set MODELPRESS_URL.")
            return UNREACHABLE
        case UnexpectedAnswer():
            complain(f"{error}\nIs the URL right? See --url and MODELPRESS_URL.")
            return UNREACHABLE
        case Unauthorized():
            complain(f"{error}\nSet MODELPRESS_KEY, or make a key: `modelpress keys create`.")
        case ApiError():
            complain(f"{error}\nRequest {error.problem.request_id or 'without id'}.")
        case _:
            complain(str(error))
    return REFUSED


if __name__ == "__main__":
    main()
