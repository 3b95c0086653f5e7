"""The pages of the documentation, and the fenced blocks in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = tuple(
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix())
)
_SAMPLE: Final = "01JD8Z6Q5T3V9X7B2C4D6F8G0H"
_VARIABLES: Final = {
    "TEACHER": f"job_{_SAMPLE}",
    "STUDENT": f"job_{_SAMPLE[:-1]}J",
    "BENCHMARK": f"job_{_SAMPLE[:-1]}K",
    "PRUNED": f"job_{_SAMPLE[:-1]}M",
    "SMALL": f"job_{_SAMPLE[:-1]}N",
}
_HEREDOC: Final = re.compile(r" <<EOF\n(.*?)^EOF$", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(
    r"^(?:\w+=\$\()?(?:[A-Z_]+=\S+ )*(?:docker compose exec api )?modelpress (.*?)\)?(?: <<EOF)?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(page.name, language, text) for language, text in found]


BLOCKS: Final = [block for page in PAGES for block in blocks(page)]
SHELL: Final = [block for block in BLOCKS if block.language == "sh"]


def without_variables(text: str) -> str:
    """What the shell would make of it, as far as our variables go."""
    return re.sub(r"\$(\w+)", lambda found: _VARIABLES.get(found[1], found[0]), text)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `modelpress …` of the pages: where, and its arguments."""
    for block in SHELL:
        for arguments in _COMMAND.findall(block.text):
            yield block.page, shlex.split(arguments)


def is_spec(block: Block) -> bool:
    """Whether it is YAML for a job; other YAML is for other programs."""
    return (
        block.language == "yaml"
        and re.search(r"^kind: [a-z]+$", block.text, re.MULTILINE) is not None
    )


def specs() -> Iterator[tuple[str, str]]:
    """Every job spec in YAML: a block of its own, or what the shell hands to a command."""
    for block in BLOCKS:
        if is_spec(block):
            yield block.page, block.text
        for text in _HEREDOC.findall(block.text):
            yield block.page, text


def lines(block: Block) -> list[list[str]]:
    """The words of each command of a block for the shell: what is handed to it and comments left
    out, what is continued on the next line or within quotes joined, and what it is assigned to
    taken off."""
    text = _HEREDOC.sub("", block.text).replace("\\\n", " ").replace("\n)\n", ")\n")
    text = re.sub(r"(^|\s)# .*$", "", text, flags=re.MULTILINE)
    found: list[list[str]] = []
    waiting = ""
    for line in text.splitlines():
        waiting = f"{waiting}\n{line}" if waiting else line
        try:
            words = shlex.split(re.sub(r"^\w+=\$\((.*)\)$", r"\1", waiting, flags=re.DOTALL))
        except ValueError:  # a quotation goes on
            continue
        waiting = ""
        if words:
            found.append(words)
    assert not waiting, f"{block.page}: a quotation has no end"
    return found
