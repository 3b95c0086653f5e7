"""`modelpress`: the command line, thin over the SDK."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from service.cli import (
    audit,
    compare,
    comparisons,
    datasets,
    job_records,
    jobs,
    keys,
    limits,
    login,
    mlflow,
    recommend,
    resources,
    servers,
    standing,
    webhooks,
)
from service.cli.advice import explain
from service.cli.connect import Target
from service.cli.console import EXIT_CODES, INTERRUPTED, REFUSED, USAGE, complain
from service.client import ClientError


class _Group(TyperGroup):
    """Ends with 130 on Ctrl-C, as shells have it; Typer's own answer is 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\nStopped. Jobs that were queued go on.", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="modelpress",
    cls=_Group,
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
        str | None,
        typer.Option(
            help="Service to talk to; by default MODELPRESS_URL, else the one that `up` runs in "
            "this folder, else that of `login`."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Key to show it; by default MODELPRESS_KEY, else the one kept for it."),
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
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("demo")(_demo)
app.add_typer(jobs.app, name="jobs")
app.add_typer(resources.models, name="models")
app.add_typer(datasets.app, name="datasets")
app.command("report")(job_records.report)
app.command("compare")(compare.compare)
resources.models.command("compare")(compare.compare)
app.add_typer(comparisons.app, name="comparisons")
app.command("recommend")(recommend.recommend)
app.command("workers")(standing.workers)
app.command("queue")(standing.queue)
app.command("capabilities")(standing.capabilities)
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
        raise SystemExit(explain(error)) from error
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


if __name__ == "__main__":
    main()
