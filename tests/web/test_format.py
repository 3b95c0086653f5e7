"""Numbers look the same whether the server or the page writes them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from service.reports import show
from service.web.assets import asset

NUMBERS = (
    0,
    1,
    -1,
    7,
    0.05,
    0.123456,
    0.9994,
    0.9996,
    0.99996,
    1.005,
    1.25,
    2.5,
    3.14159,
    9.995,
    12.345,
    59.96,
    99.95,
    119.6,
    120,
    121.4,
    719.5,
    999.4,
    999.6,
    1000,
    1234.5,
    7199.7,
    7200,
    36_061,
    86_400,
    999_499,
    999_500,
    999_999,
    1_000_000,
    1_412_682,
    9_999_999,
    10_000_000,
    153_029_120,
    2_000_000_000,
    4.2e12,
    0.00012345,
    -0.0421,
    -1234.5,
)
WRITTEN: dict[str, Callable[[float], str]] = {
    "significant": show.significant,
    "percent": show.percent,
    "count": show.count,
    "size": show.size,
    "duration": show.duration,
}
_IN_THE_PAGE = """async ([address, name, numbers]) => {
  const format = await import(address);
  return numbers.map((number) => format[name](number));
}"""


def test_the_page_writes_numbers_as_reports_do(page: Page) -> None:
    for name, write in WRITTEN.items():
        numbers = [one for one in NUMBERS if one >= 0 or name in ("significant", "percent")]
        drawn = page.evaluate(_IN_THE_PAGE, [asset("format.js"), name, numbers])
        assert dict(zip(numbers, drawn, strict=True)) == {one: write(one) for one in numbers}, name


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("percent", 0.97246, "97.25 %"),
        ("size", 1_412_682, "1.41 MB"),
        ("duration", 3661.0, "61 min 1 s"),
        ("count", 153_029_120, "153 M"),
        ("significant", -0.0421, "−0.0421"),
    ],
)
def test_reports_write_numbers_so(name: str, number: float, text: str) -> None:
    assert WRITTEN[name](number) == text
