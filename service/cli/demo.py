"""`modelpress demo`: a real model gets smaller, on the real service, in about a minute."""

import importlib.util
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.table import Table as RichTable

from service.cli.connect import DATA_DIR
from service.cli.console import INTERRUPTED, REFUSED, complain, out
from service.cli.signals import stops_like_ctrl_c
from service.cli.watch import follow
from service.client import Client, ClientError, Job, JobFailed
from service.contract.models import ModelRead
from service.contract.reports import Report, Table
from service.embedded import Stack, StackError
from service.reports import show
from service.reports.text import table_rows

DATASET: Final = "digits"
# Some 1,400 images and two cores: small batches and few passes, a teacher's pass takes seconds.
TEACHER_TRAINING: Final = {"epochs": 2, "batch_size": 32, "scheduler": "cosine"}
STUDENT_TRAINING: Final = {
    "epochs": 8,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "scheduler": "cosine",
}
QUICK_TRAINING: Final = {"epochs": 1}
BATCH_SIZES: Final = (1, 32)
BLOCKS: Final = 6
BLOCK_S: Final = 0.15
EXECUTIONS: Final = 2
_LOG_LINES: Final = 15
# The first image of the digits, a 0, in sixteenths of full brightness.
_A_ZERO: Final = (
    (0, 0, 5, 13, 9, 1, 0, 0),
    (0, 0, 13, 15, 10, 15, 5, 0),
    (0, 3, 15, 2, 0, 11, 8, 0),
    (0, 4, 12, 0, 0, 8, 8, 0),
    (0, 5, 8, 0, 0, 9, 8, 0),
    (0, 4, 11, 0, 1, 12, 7, 0),
    (0, 2, 14, 5, 10, 12, 0, 0),
    (0, 0, 6, 13, 10, 0, 0, 0),
)
# What fits a terminal of 80 columns; the report has the rest.
_COLUMNS: Final = {
    "summary": ("name", "parameters", "size_bytes", "accuracy", "accuracy_retention"),
    "latency": ("batch_size", "name", "p50_ms", "p95_ms", "speedup"),
}


@dataclass(frozen=True)
class Chain:
    """The three jobs, each waiting for the one before."""

    teacher: Job
    student: Job
    benchmark: Job

    @property
    def by_title(self) -> dict[str, Job]:
        """What to call them on the screen."""
        return {
            "train the teacher": self.teacher,
            "distill the student": self.student,
            "measure both": self.benchmark,
        }


def demo(keep: Path, quick: bool) -> None:
    """Start a service of its own, run the chain, and leave the report and the student in `keep`."""
    began = time.monotonic()
    data_dir = Path(tempfile.gettempdir()) / f"modelpress-demo-{secrets.token_hex(8)}"
    try:
        with stops_like_ctrl_c():
            _run(data_dir, keep, quick)
    except StackError as error:
        complain(str(error))
        raise typer.Exit(REFUSED) from error
    except KeyboardInterrupt:
        complain("stopped before it was done")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    out().print(f"\nDone in {show.duration(time.monotonic() - began)}.")


def _run(data_dir: Path, keep: Path, quick: bool) -> None:
    console = out()
    console.print(
        "Starting the service: SQLite, Valkey, the API and a worker in a temporary folder …"
    )
    with Stack(data_dir, port=0) as stack, Client(stack.url, stack.key) as client:
        console.print(f"It answers at {stack.url}. Three jobs go in at once:\n")
        chain = submit(client, quick)
        try:
            follow(chain.by_title, console, check=stack.check)
        except ClientError as error:
            _explain(error, client, stack)
            raise typer.Exit(REFUSED) from error
        _show(chain, keep)


def submit(client: Client, quick: bool) -> Chain:
    """Queue the chain: a job stands for the model that it will make."""
    teacher = client.train(
        "cnn_teacher",
        DATASET,
        name="teacher",
        training=QUICK_TRAINING if quick else TEACHER_TRAINING,
    )
    student = client.distill(
        teacher,
        "cnn_student",
        DATASET,
        name="student",
        training=QUICK_TRAINING if quick else STUDENT_TRAINING,
    )
    benchmark = client.benchmark(
        [teacher, student],
        DATASET,
        name="teacher against student",
        batch_sizes=BATCH_SIZES,
        blocks=BLOCKS,
        block_s=BLOCK_S,
        executions=EXECUTIONS,
    )
    return Chain(teacher, student, benchmark)


def _show(chain: Chain, keep: Path) -> None:
    console = out()
    report = Report.model_validate_json(chain.benchmark.report("json"), extra="ignore")
    console.print()
    for table in report.tables:
        if table.id in _COLUMNS:
            console.print(_rich(table, _COLUMNS[table.id]))
            console.print()
    console.print(report.headline, markup=False)
    keep.mkdir(parents=True, exist_ok=True)
    page = keep / "report.html"
    page.write_bytes(chain.benchmark.report("html"))
    model = chain.student.model
    folder = model.download(keep / "student")
    console.print(f"\nReport   {page.resolve()}", markup=False, soft_wrap=True)
    console.print(f"Student  {folder.resolve()}", markup=False, soft_wrap=True)
    if importlib.util.find_spec("torch") is not None:
        console.print(f"         {reload_and_predict(folder, model.data)}", markup=False)
    console.print(
        "\nNext:\n"
        f"  modelpress up                    the same service, to stay, in ./{DATA_DIR}\n"
        "  modelpress jobs submit -f SPEC   a job of your own, in YAML or JSON\n"
        f"  python -c \"import modelpress; print(modelpress.load('{keep / 'student'}'))\"",
        markup=False,
        soft_wrap=True,
    )


def _rich(table: Table, keys: tuple[str, ...]) -> RichTable:
    columns = tuple(column for column in table.columns if column.key in keys)
    headings, *rows = table_rows(table.model_copy(update={"columns": columns}))
    shown = RichTable(title=table.title, title_justify="left", title_style="bold")
    for column, heading in zip(columns, headings, strict=True):
        shown.add_column(heading, justify="right" if show.is_numeric(column) else "left")
    for row in rows:
        shown.add_row(*row)
    return shown


def reload_and_predict(folder: Path, model: ModelRead) -> str:
    """Load the downloaded model, check it against what the service says of it, and show it a
    handwritten 0."""
    import modelpress

    module = modelpress.load(folder)
    parameters = list(module.parameters())
    counted = sum(parameter.numel() for parameter in parameters)
    assert model.input_size is not None, "the model is ready"
    assert model.normalisation is not None
    channels, height, width = model.input_size
    zero = parameters[0].new_tensor(_A_ZERO) / 16
    zero = zero.repeat_interleave(height // 8, dim=0).repeat_interleave(width // 8, dim=1)
    mean, std = (
        parameters[0].new_tensor(values).view(channels, 1, 1)
        for values in (model.normalisation.mean, model.normalisation.std)
    )
    logits = module(((zero - mean) / std)[None])
    assert counted == model.parameters, (counted, model.parameters)
    assert tuple(logits.shape) == (1, model.classes), logits.shape
    answer = int(logits.argmax())
    return f"reloaded: {show.count(counted)} parameters; a handwritten 0 is read as a {answer}"


def _explain(error: ClientError, client: Client, stack: Stack) -> None:
    complain(str(error))
    if isinstance(error, JobFailed):
        if error.error.hint:
            complain(f"Hint: {error.error.hint}")
        log = client.jobs.get(error.job_id).logs().splitlines()[-_LOG_LINES:]
        complain("The end of the job's log:\n" + "\n".join(log))
        return
    for name, tail in stack.log_tails(_LOG_LINES).items():
        complain(f"The end of the {name}'s log:\n{tail}")
