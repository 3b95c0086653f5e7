"""The report of a dry run: what the job would have done."""

from typing import Final

from service.contract.reports import Cell, Column, Highlight, Table
from service.contract.specs import PlanResult
from service.reports.body import Body, table

_LATENCY: Final = (
    Column(key="latency_ms", title="Latency, roughly", unit="ms", format="milliseconds"),
)


def plan_body(result: PlanResult) -> Body:
    """The models it would touch and how much work that is."""
    work = "Timed combinations" if result.of == "benchmark" else "Optimizer steps"
    return Body(
        subject=f"plan of a {result.of} job",
        headline=result.summary,
        highlights=(
            Highlight(label="Models", value=len(result.models), format="count"),
            Highlight(label=work, value=result.steps, format="count"),
        ),
        notes=(*result.warnings, "This was a dry run: nothing was trained.", *_measured(result)),
        tables=(
            table(
                ident="summary",
                title="Models",
                columns=(
                    Column(key="role", title="Role"),
                    Column(key="architecture", title="Architecture"),
                    Column(key="parameters", title="Parameters", format="count"),
                    Column(key="macs", title="MACs per input", format="count"),
                    *_LATENCY[: any(model.latency_ms for model in result.models)],
                ),
                rows=tuple(
                    {
                        "role": model.role,
                        "architecture": model.architecture,
                        "parameters": model.parameters,
                        "macs": model.macs,
                        "latency_ms": model.latency_ms,
                    }
                    for model in result.models
                ),
            ),
            *_layers(result),
        ),
        charts=(),
        lineage=(),  # nothing was read and nothing was made
    )


def _measured(result: PlanResult) -> tuple[str, ...]:
    if any(model.latency_ms for model in result.models):
        return ("Latency had a quick look, to choose by and not to quote.",)
    return ("Nothing was measured.",)


def _layers(result: PlanResult) -> tuple[Table, ...]:
    if not result.layers:
        return ()
    columns = (
        Column(key="layers", title="Layers cut together"),
        Column(key="before", title="Outputs", format="count"),
        Column(key="after", title="Outputs after", format="count"),
    )
    rows: list[dict[str, Cell]] = [
        {
            "layers": ", ".join(one.layers),
            "before": one.channels_before,
            "after": one.channels_after,
        }
        for one in result.layers
    ]
    return (table("layers", "What would be cut", columns, rows),)
