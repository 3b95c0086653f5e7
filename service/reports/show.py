"""How a value is shown to people: rounding and units, in one place for every output."""

from collections.abc import Iterable, Iterator
from math import floor, isclose, log10
from typing import TypeGuard, assert_never

from service.contract.reports import Cell, Column, Format, Interval, Quantity, Table

MISSING = "–"
_COMPACT_FROM = 10_000_000  # nobody reads 38,993,152 MACs; 39.0 M they do
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def significant(value: float, digits: int = 3) -> str:
    """`value` to `digits` significant digits, never in scientific notation, thousands grouped."""
    if value == 0:
        return "0"
    exponent = floor(log10(abs(value)))
    if isclose(abs(round(value, digits - 1 - exponent)), 10.0 ** (exponent + 1)):
        exponent += 1  # 9.997 rounds up to 10.0, which has one decimal fewer
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def count(value: float, *, compact: bool = False) -> str:
    """A number of things: exact below ten million, then three digits and a prefix. `compact`: with
    a prefix from a thousand on, as what stands beside a larger one is."""
    if abs(value) < _COMPACT_FROM and not compact:
        return f"{value:,.0f}"
    return _scaled(value).rstrip()


def counts(values: Iterable[float | None], missing: str = MISSING) -> list[str]:
    """Numbers that are read together, in one form: all exact, or all with a prefix."""
    each = list(values)
    compact = any(value is not None and _is_large(value) for value in each)
    return [missing if value is None else count(value, compact=compact) for value in each]


def _is_large(value: float) -> bool:
    return abs(value) >= _COMPACT_FROM


def _scaled(value: float) -> str:
    for scale, prefix in _SCALES:
        # 999.6 k would be shown as 1,000 k
        if abs(value) >= scale * 0.9995:
            return f"{significant(value / scale)} {prefix}"
    return f"{value:,.0f} "


def size(value: float) -> str:
    """Bytes in decimal multiples: 1 kB is 1,000 bytes."""
    return f"{_scaled(value)}B"


def scientific(value: float) -> str:
    """Two digits and a power of ten: differences are tiny, and 0.0000114 says less than 1.1e-05."""
    return f"{value:.1e}" if value else "0"


def percent(value: float) -> str:
    """A fraction as percent."""
    return f"{100 * value:.2f} %"


def ratio(value: float) -> str:
    """A ratio, such as a speed-up."""
    return f"{significant(value)}×"


def points(value: float) -> str:
    """A difference of percentages, always with its sign."""
    rounded = round(value, 2)
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0.00"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float, form: Format, *, compact: bool = False) -> str:
    """One number in a format; milliseconds carry no unit, their column does. `compact` is for
    counts, see `count`."""
    match form:
        case "count":
            return count(value, compact=compact)
        case "percent":
            return percent(value)
        case "points":
            return points(value)
        case "bytes":
            return size(value)
        case "ratio":
            return ratio(value)
        case "seconds":
            return duration(value)
        case "scientific":
            return scientific(value)
        case "text" | "number" | "milliseconds":
            return significant(value)
        case _:
            assert_never(form)


def cell(value: Cell, form: Format, missing: str = MISSING, *, compact: bool = False) -> str:
    """A cell as text; an interval as `7.36× (7.10×–7.61×)`, a null as `missing`."""
    if value is None:
        return missing
    if isinstance(value, str):
        return " ".join(value.split())
    unit = ""
    if isinstance(value, Quantity):
        unit, form = f" {value.unit}" if value.unit else "", value.format
        value = value.value
    if isinstance(value, Interval):
        each = (value.value, value.low, value.high)
        middle, low, high = (number(one, form, compact=compact) for one in each)
        return f"{middle}{unit} ({low}–{high})"
    return f"{number(value, form, compact=compact)}{unit}"


def heading(column: Column) -> str:
    """A column's title with its unit."""
    return f"{column.title} ({column.unit})" if column.unit else column.title


def is_numeric(column: Column) -> bool:
    """Whether its cells are aligned to the right."""
    return column.format != "text"


def shown_rows(table: Table) -> Iterator[list[str]]:
    """Every row of a table as text, in the order of its columns. Counts of a column have one form,
    and those of a row that have a format of their own: 29.2 M never stands beside 7,522,624."""
    large = {
        column.key
        for column in table.columns
        if column.format == "count" and any(_is_much(row.get(column.key)) for row in table.rows)
    }
    for row in table.rows:
        own = [each.value for each in row.values() if _is_count(each)]
        compact = any(map(_is_much, own))
        yield [
            cell(
                row.get(each.key),
                each.format,
                table.missing,
                compact=compact or each.key in large,
            )
            for each in table.columns
        ]


def _is_count(value: Cell) -> TypeGuard[Quantity]:
    """Whether it is a count by a format of its own."""
    return isinstance(value, Quantity) and value.format == "count"


def _is_much(value: Cell) -> bool:
    return isinstance(value, int | float) and _is_large(value)
