import pytest

from service.contract.reports import Column, Interval, Table
from service.reports import show
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
        (-0.25, "-0.250"),
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
