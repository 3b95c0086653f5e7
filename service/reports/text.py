"""A table as rows of plain text: for terminals and logs."""

from service.contract.reports import Table
from service.reports import show


def table_rows(table: Table) -> list[list[str]]:
    """The headings, then every row; as many strings in each as the table has columns."""
    return [[show.heading(column) for column in table.columns], *show.shown_rows(table)]


def text_table(table: Table) -> str:
    """The table in columns of equal width: numbers to the right, a rule below the headings."""
    rows = table_rows(table)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [show.is_numeric(column) for column in table.columns]
    lines = [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])
