import pytest

from service.contract.reports import Column, Interval, Quantity, Table
from service.reports import show
from service.reports.key_figures import shown_figure
from service.reports.text import table_rows, text_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0004567, "0.000457"),
        (0.572, "0.572"),
        (9.997, "10.0"),
        (99.96, "100"),
        (4.2, "4.20"),
        (88.4, "88.4"),
        (1234.6, "1,235"),
        (-0.25, "−0.250"),
    ],
)
def test_three_significant_digits_are_kept_without_exponents(value: float, shown: str) -> None:
    assert show.significant(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1_412_682, "1,412,682"), (153_418_752, "153 M"), (4_120_000_000, "4.12 G"), (0, "0")],
)
def test_counts_are_exact_until_nobody_reads_the_digits(value: int, shown: str) -> None:
    assert show.count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (999_600, "1.00 MB"), (595_320, "595 kB"), (5_651_928, "5.65 MB")],
)
def test_sizes_are_in_decimal_multiples(value: int, shown: str) -> None:
    assert show.size(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(9.4, "9.40 s"), (119, "119 s"), (151, "2 min 31 s"), (9000, "2 h 30 min")],
)
def test_durations_are_said_as_people_say_them(seconds: float, shown: str) -> None:
    assert show.duration(seconds) == shown


def test_points_carry_their_sign_unless_they_round_to_zero() -> None:
    assert [show.points(v) for v in (-0.556, 0.5, -0.001)] == ["−0.56", "+0.50", "0.00"]


def counted(*rows: dict[str, float | Quantity]) -> list[list[str]]:
    columns = (
        Column(key="a", title="A", format="count"),
        Column(key="b", title="B", format="count"),
    )
    return list(show.shown_rows(Table(id="t", title="T", columns=columns, rows=rows)))


def test_counts_of_one_column_have_one_form() -> None:
    rows = counted({"a": 29_202_432, "b": 1_412_682}, {"a": 7_522_624, "b": 61_706}, {"a": 640})
    assert [row[0] for row in rows] == ["29.2 M", "7.52 M", "640"]
    assert [row[1] for row in rows] == ["1,412,682", "61,706", "–"]


def test_counts_of_one_row_have_one_form_where_rows_are_of_different_kinds() -> None:
    def row(before: int, after: int) -> dict[str, float | Quantity]:
        return {
            "a": Quantity(value=before, format="count"),
            "b": Quantity(value=after, format="count"),
        }

    assert counted(row(29_202_432, 7_522_624), row(1_412_682, 61_706)) == [
        ["29.2 M", "7.52 M"],
        ["1,412,682", "61,706"],
    ]


def test_counts_of_one_sentence_have_one_form() -> None:
    assert show.counts([7_522_624, 29_202_432]) == ["7.52 M", "29.2 M"]
    assert show.counts([61_706, None]) == ["61,706", "–"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("test_accuracy", 0.966667, "96.67 %"),
        ("size_bytes", 595_320, "595 kB"),
        ("speedup", 7.358, "7.36×"),
        ("p50_ms", 0.5, "0.500 ms"),
        ("of_somebody_else", 4.2, "4.20"),
    ],
)
def test_a_key_figure_has_its_unit(name: str, value: float, shown: str) -> None:
    assert shown_figure(name, value) == shown


def test_a_table_becomes_aligned_text_with_units_in_its_headings() -> None:
    table = Table(
        id="t",
        title="T",
        columns=(
            Column(key="name", title="Model"),
            Column(key="p50", title="p50", unit="ms", format="milliseconds"),
            Column(key="speedup", title="Speed-up", format="ratio"),
        ),
        rows=(
            {"name": "a", "p50": 4.21, "speedup": None},
            {"name": "bcdefg", "p50": 0.5, "speedup": Interval(value=7.36, low=7.1, high=7.61)},
        ),
    )
    assert table_rows(table)[2] == ["bcdefg", "0.500", "7.36× (7.10×–7.61×)"]
    assert text_table(table).splitlines() == [
        "Model   p50 (ms)             Speed-up",
        "──────  ────────  ───────────────────",
        "a           4.21                    –",
        "bcdefg     0.500  7.36× (7.10×–7.61×)",
    ]
