"""Calls of curl in the pages, as requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tests.documents.blocks import SHELL, lines, without_variables

_WITH_VALUE = {"-H", "-d", "-T", "-X", "-o"}
_VARIABLES = {"$AUTH": "Authorization: Bearer mp_…", "$JSON": "Content-Type: application/json"}


@dataclass(frozen=True)
class Request:
    """What a line of curl would send."""

    page: str
    method: str
    path: str
    query: frozenset[str]
    headers: dict[str, str]
    body: str | None


def request(page: str, words: list[str]) -> Request:
    """Reads the words after `curl`; those after a pipe are another command's."""
    options: dict[str, str] = {}
    headers: dict[str, str] = {}
    url = ""
    rest = iter(words[: words.index("|")] if "|" in words else words)
    for word in rest:
        if word in _WITH_VALUE:
            value = next(rest)
            if word == "-H":
                name, _, said = _VARIABLES.get(value, value).partition(": ")
                headers[name.lower()] = said
            else:
                options[word] = value
        elif not word.startswith("-"):
            assert not url, f"{page}: two addresses, {url} and {word}"
            url = word
    assert url.startswith("$MODELPRESS_URL/"), url
    parts = urlsplit(without_variables(url.removeprefix("$MODELPRESS_URL")))
    method = "PUT" if "-T" in options else "POST" if "-d" in options else "GET"
    query = frozenset(parse_qs(parts.query, strict_parsing=bool(parts.query)))
    body = without_variables(options["-d"]) if "-d" in options else None
    return Request(page, options.get("-X", method), parts.path, query, headers, body)


def requests() -> Iterator[Request]:
    """All of the pages."""
    for block in SHELL:
        for words in lines(block):
            if words[0] == "curl":
                yield request(block.page, words[1:])
