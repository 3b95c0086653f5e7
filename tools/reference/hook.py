"""What mkdocs calls: it adds the reference pages, and to the navigation what it does not name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.reference import cli, http, jobs, sdk, settings

_MOVE: Final = re.compile(r"^ +(\w+|\[\*\]) --> (\w+|\[\*\])(?:: (.+))?$", re.MULTILINE)
_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\((?:\.\./)*screenshots/([\w-]+\.png)\)")
_DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def reference_pages() -> Iterator[tuple[str, str]]:
    """Path and text of every page that is made."""
    yield from jobs.pages()
    yield from http.pages(http.document())
    yield "reference/cli.md", cli.page()
    yield "reference/sdk.md", sdk.page()
    yield "reference/settings.md", settings.page()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add how-tos and decisions that the navigation does not name."""
    named = set(_paths(config.nav))
    for title, folder in (("How-to", "how-to"), ("Decisions", "adr")):
        pages = sorted(Path(config.docs_dir, folder).glob("*.md"))
        rest = [f"{folder}/{page.name}" for page in pages]
        _section(config.nav, title).extend(path for path in rest if path not in named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference pages."""
    for path, text in reference_pages():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Turn the diagram of states, which browsers draw by a script from elsewhere, into a table,
    and pictures that were not taken into words."""
    drawn = _DIAGRAM.sub(lambda found: moves(found[1]), markdown)
    return with_pictures(drawn, Path(config.docs_dir, "screenshots"))


def with_pictures(markdown: str, folder: Path) -> str:
    """The text, with what a picture would show in the place of each that is not there: taking
    them needs a browser."""

    def picture_or_words(found: re.Match[str]) -> str:
        return found[0] if (folder / found[2]).exists() else f"*(Picture: {found[1]})*"

    return _PICTURE.sub(picture_or_words, markdown)


def moves(diagram: str) -> str:
    """A state diagram as a table."""
    rows = [
        f"| `{state}` | `{to}` | {when} |"
        for state, to, when in _MOVE.findall(diagram)
        if "[*]" not in (state, to)
    ]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows])


def _paths(nav: Any) -> Iterator[str]:
    match nav:
        case str():
            yield nav
        case dict():
            for value in nav.values():
                yield from _paths(value)
        case list():
            for item in nav:
                yield from _paths(item)


def _section(nav: Any, title: str) -> list[Any]:
    found: list[Any] = next(item[title] for item in nav if isinstance(item, dict) and title in item)
    return found
