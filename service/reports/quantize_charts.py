"""Figures of a quantisation: the bytes of each file, and what int8 does to each layer."""

from typing import Final

from service.contract.quantize_result import QuantizeResult
from service.contract.reports import Chart
from service.reports import show, vega

_MOST_LAYERS: Final = 40


def quantize_charts(result: QuantizeResult) -> tuple[Chart, ...]:
    """The figures that this job has something to show in."""
    return (_sizes(result), *_sensitivity(result))


def _sizes(result: QuantizeResult) -> Chart:
    files = [
        ("original", result.original.size_bytes),
        ("float32\ngraph", result.float_bytes),
        ("quantised\ngraph", result.facts.size_bytes),
    ]
    names = [name for name, _ in files]
    told = ", ".join(f"{name} {show.size(count)}".replace("\n", " ") for name, count in files)
    return Chart(
        id="sizes",
        title="Size of each file",
        description=f"What would be downloaded: {told}.",
        spec=vega.chart(
            [
                vega.bars(
                    "Size on disk",
                    [(name, "size", count) for name, count in files],
                    names,
                    ["size"],
                    unit="Size of the file",
                    form="bytes",
                )
            ]
        ),
    )


def _sensitivity(result: QuantizeResult) -> tuple[Chart, ...]:
    measured = [(one, one.sensitivity) for one in result.layers if one.sensitivity is not None]
    if not measured:
        return ()
    worst, error = max(measured, key=lambda one: one[1])
    shown = measured
    if len(measured) > _MOST_LAYERS:
        least = sorted((value for _, value in measured), reverse=True)[_MOST_LAYERS - 1]
        shown = [one for one in measured if one[1] >= least][:_MOST_LAYERS]
    names = vega.short_names([layer.name for layer, _ in shown])
    series = [result.method, "kept in float32"]
    rows = [
        (name, series[not layer.is_quantized], value)
        for name, (layer, value) in zip(names, shown, strict=True)
    ]
    part = f" (the {len(shown)} highest)" if len(shown) < len(measured) else ""
    return (
        Chart(
            id="sensitivity",
            title=f"What int8 in each layer alone does{part}",
            description="Mean square of the difference of the validation logits ÷ mean square of "
            f"the logits, in the order of the graph. {worst.name} does most: {error:.1e}.",
            spec=vega.chart(
                [
                    vega.bars(
                        "Error of the logits",
                        rows,
                        names,
                        series[: 1 + any(not layer.is_quantized for layer, _ in shown)],
                        unit="Relative squared error",
                        form="~e",
                        coloured=True,
                    )
                ]
            ),
        ),
    )
