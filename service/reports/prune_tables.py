"""The longer tables of a pruning's report."""

from service.contract.prune_result import PruneResult
from service.contract.reports import Column, Table
from service.reports.body import ACCURACY, table


def layers_table(result: PruneResult) -> Table:
    """What each layer lost, and its share of the work."""
    total = sum(layer.macs for layer in result.layers) or 1
    return table(
        ident="layers",
        title="Layer by layer",
        columns=(
            Column(key="layer", title="Layer"),
            Column(key="weights", title="Weights", format="count"),
            Column(key="after", title="Weights after", format="count"),
            Column(key="zeros", title="Zeros", format="count"),
            Column(key="sparsity", title="Sparsity", format="percent"),
            Column(key="channels", title="Outputs", format="count"),
            Column(key="channels_after", title="Outputs after", format="count"),
            Column(key="share", title="Share of MACs", format="percent"),
            Column(key="macs_left", title="MACs left", format="percent"),
        ),
        rows=(
            {
                "layer": layer.name,
                "weights": layer.weights,
                "after": layer.weights_after,
                "zeros": layer.zeros,
                "sparsity": layer.sparsity,
                "channels": layer.channels_before,
                "channels_after": layer.channels_after,
                "share": layer.macs / total,
                "macs_left": layer.macs_after / layer.macs if layer.macs else None,
            }
            for layer in result.layers
        ),
    )


def steps_words(result: PruneResult) -> tuple[str, str]:
    """What the shares of steps are of, and what was asked for: cut channels take parameters
    along, zeros are the weights that were asked for."""
    if any(layer.channels_after < layer.channels_before for layer in result.layers):
        return "parameters", "channels asked for"
    return "weights", "asked for"


def steps_table(result: PruneResult) -> Table:
    """What a schedule asked for and what it got."""
    of, asked = steps_words(result)
    return table(
        ident="steps",
        title="Steps of the schedule",
        columns=(
            Column(key="step", title="Step", format="count"),
            Column(key="asked", title=asked.capitalize(), format="percent"),
            Column(key="sparsity", title=f"{of.capitalize()} gone or zero", format="percent"),
            Column(key="accuracy", title="Validation accuracy", format="percent"),
        ),
        rows=(
            {
                "step": one.step,
                "asked": one.asked,
                "sparsity": one.sparsity,
                "accuracy": one.validation_accuracy,
            }
            for one in result.steps
        ),
    )


def sweep_table(result: PruneResult) -> Table:
    """The amounts that were compared."""
    return table(
        ident="sweep",
        title="Amounts compared",
        columns=(
            Column(key="amount", title="Amount", format="percent"),
            Column(key="validation", title="Validation accuracy", format="percent"),
            ACCURACY,
            Column(key="parameters", title="Non-zero parameters", format="count"),
            Column(key="macs", title="MACs per input", format="count"),
            Column(key="size", title="Size on disk", format="bytes"),
            Column(key="p50_ms", title="p50", unit="ms", format="milliseconds"),
            Column(key="kept", title="Kept"),
        ),
        rows=(
            {
                "amount": one.amount,
                "validation": one.validation_accuracy,
                "accuracy": one.test_accuracy,
                "parameters": one.parameters,
                "macs": one.macs,
                "size": one.size_bytes,
                "p50_ms": one.p50_ms,
                "kept": "yes" if one.is_kept else "",
            }
            for one in result.sweep
        ),
    )
