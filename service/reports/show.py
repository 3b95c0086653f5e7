"""How a value is shown to people: rounding and units, in one place for every output."""

from collections.abc import Iterator
from math import floor, isclose, log10
from typing import assert_never

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
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def count(value: float) -> str:
    """A number of things: exact below ten million, then three digits and a prefix."""
    if abs(value) < _COMPACT_FROM:
        return f"{value:,.0f}"
    return _scaled(value)


def _scaled(value: float) -> str:
    for scale, prefix in _SCALES:
        # 999.6 k would be shown as 1,000 k
        if abs(value) >= scale * 0.9995:
            return f"{significant(value / scale)} {prefix}"
    return f"{value:,.0f} "


def size(value: float) -> str:
    """Bytes in decimal multiples: 1 kB is 1,000 bytes."""
    return f"{_scaled(value)}B"


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


def number(value: float, form: Format) -> str:
    """One number in a format; milliseconds carry no unit, their column does."""
    match form:
        case "count":
            return count(value)
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
        case "text" | "number" | "milliseconds":
            return significant(value)
        case _:
            assert_never(form)


def cell(value: Cell, form: Format, missing: str = MISSING) -> str:
    """A cell as text; an interval as `7.36× (7.10×–7.61×)`, a null as `missing`."""
    if value is None:
        return missing
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Quantity):
        return _measured(value.value, value.format, f" {value.unit}" if value.unit else "")
    return _measured(value, form, "")


def _measured(value: float | Interval, form: Format, unit: str) -> str:
    if isinstance(value, Interval):
        low, high = number(value.low, form), number(value.high, form)
        return f"{number(value.value, form)}{unit} ({low}–{high})"
    return f"{number(value, form)}{unit}"


def heading(column: Column) -> str:
    """A column's title with its unit."""
    return f"{column.title} ({column.unit})" if column.unit else column.title


def is_numeric(column: Column) -> bool:
    """Whether its cells are aligned to the right."""
    return column.format != "text"


def shown_rows(table: Table) -> Iterator[list[str]]:
    """Every row of a table as text, in the order of its columns."""
    for row in table.rows:
        yield [cell(row.get(each.key), each.format, table.missing) for each in table.columns]
