"""The report of an `export` job: every file and how it compares with the model."""

from service.contract.export import ExportedModel, ExportResult
from service.contract.reports import Chart, Column, Highlight, LineageEntry, Table
from service.reports import show, vega
from service.reports.body import SIZE_COLUMNS, Body, kind_columns, model_cells, table


def export_body(result: ExportResult) -> Body:
    """What was written, how large it is, how far its answers are from the model's."""
    (name,) = (" ".join(result.source.name.split()) or result.source.model,)
    worst = max(result.exports, key=_worst)
    formats = ", ".join(one.format for one in result.exports)
    return Body(
        subject=f"{name} as {formats}",
        headline=(
            f"{name} was written as {formats}. Loaded in its runtime, each answers as the model "
            f"does: over {show.count(worst.parity.samples)} inputs no logit differs by more than "
            f"{show.scientific(worst.parity.max_abs_difference)}, and the top prediction is the "
            f"same for {show.percent(min(one.parity.agreement for one in result.exports))}."
        ),
        highlights=(
            Highlight(label="Formats", value=len(result.exports), format="count"),
            Highlight(
                label="Agreement, at least",
                value=min(one.parity.agreement for one in result.exports),
                format="percent",
            ),
            Highlight(
                label="Largest file",
                value=max(one.size_bytes for one in result.exports),
                format="bytes",
            ),
        ),
        notes=_notes(result),
        tables=(_model(result, name), _files(result), *_skipped(result)),
        charts=(_chart(result),),
        lineage=(LineageEntry(role="exported", model=result.source.model, name=name),),
    )


def _worst(one: ExportedModel) -> float:
    return one.parity.max_abs_difference / one.parity.tolerance


def _notes(result: ExportResult) -> tuple[str, ...]:
    compared = (
        "random inputs, for no dataset was named"
        if result.exports[0].parity.data == "random"
        else f"the validation split of {result.data.dataset if result.data else '?'}"
    )
    return (
        *result.warnings,
        f"Compared on {compared}, in float32 on both sides. A difference beyond the tolerance "
        "would have failed the job.",
        "Where top predictions differ within the tolerance, the two best logits of that input are "
        "as good as equal.",
        "Files are for inputs that are normalised already; mean and std are in config.json.",
    )


def _model(result: ExportResult, name: str) -> Table:
    return table(
        ident="summary",
        title="The model",
        columns=(*SIZE_COLUMNS, *kind_columns([result.source])),
        rows=(model_cells(result.source, name),),
    )


def _files(result: ExportResult) -> Table:
    return table(
        ident="files",
        title="The files",
        columns=(
            Column(key="format", title="Format"),
            Column(key="size", title="Size", format="bytes"),
            Column(key="share", title="Of the model's bytes", format="percent"),
            Column(key="runtime", title="Run by"),
            Column(key="opset", title="Opset"),
            Column(key="max", title="Largest difference", format="scientific"),
            Column(key="mean", title="Mean difference", format="scientific"),
            Column(key="tolerance", title="Tolerance", format="scientific"),
            Column(key="agreement", title="Top-1 agreement", format="percent"),
            Column(key="samples", title="Inputs", format="count"),
        ),
        rows=(
            {
                "format": one.format,
                "size": one.size_bytes,
                "share": one.size_bytes / max(1, result.source.size_bytes),
                "runtime": one.runtime,
                "opset": None if one.opset is None else str(one.opset),
                "max": one.parity.max_abs_difference,
                "mean": one.parity.mean_abs_difference,
                "tolerance": one.parity.tolerance,
                "agreement": one.parity.agreement,
                "samples": one.parity.samples,
            }
            for one in result.exports
        ),
    )


def _chart(result: ExportResult) -> Chart:
    formats = [one.format for one in result.exports]
    used = [(one.format, "difference", _worst(one)) for one in result.exports]
    sizes = [(one.format, "size", one.size_bytes) for one in result.exports]
    told = ", ".join(f"{name} {show.significant(100 * share)} %" for name, _, share in used)
    return Chart(
        id="difference",
        title="Largest difference and size, by format",
        description=f"The largest difference of any logit as a share of the tolerance: {told}.",
        spec=vega.chart(
            [
                vega.bars(
                    "Largest difference",
                    used,
                    formats,
                    ["difference"],
                    unit="Share of the tolerance",
                    form="~p",
                ),
                vega.bars(
                    "Size on disk", sizes, formats, ["size"], unit="Size of the file", form="bytes"
                ),
            ]
        ),
    )


def _skipped(result: ExportResult) -> tuple[Table, ...]:
    if not result.skipped:
        return ()
    columns = (Column(key="format", title="Format"), Column(key="reason", title="Why"))
    rows = ({"format": one.format, "reason": one.reason} for one in result.skipped)
    return (table("skipped", "Skipped", columns, rows),)
