"""Model cards as HTML. What was uploaded brings a card of its own, so that it is a stranger's text:
no HTML in it counts, its links go out in a way that tells nothing, and its pictures are not shown.
"""

import re
from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

_METADATA: Final = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)
LONGEST_BYTES: Final = 32_000
"""As much of a card as a page is a place for. Brackets that never close take a time that grows with
the square of their number: 14 s of a processor for 200,000 of them, 0.4 s for as many as this."""
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def card_html(text: str) -> Markup:
    """A card without its metadata and its title, which the page says itself."""
    body = _METADATA.sub("", text, count=1)
    tokens = _markdown.parse(body)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"  # below the page's own headings
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer nofollow")
    return Markup(_markdown.renderer.render(tokens, _markdown.options, {}))  # noqa: S704  # see above
