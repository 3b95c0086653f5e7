"""The lineage of a model as a small graph: its line of ancestors, itself, and what was made of it.

Boxes are placed here and drawn by the template as SVG, so that nothing has to be laid out in the
browser, and links are links.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from service.contract.models import LineageRead, ModelRead

BOX_WIDTH: Final = 190
BOX_HEIGHT: Final = 64
_GAP_X: Final = 46
_GAP_Y: Final = 14
_MOST_CHILDREN: Final = 8  # drawn; the others are counted


@dataclass(frozen=True)
class Box:
    """A model at its place."""

    model: ModelRead
    x: int
    y: int
    is_self: bool = False

    @property
    def name(self) -> str:
        """Short enough for the box."""
        name = self.model.name
        return name if len(name) <= 22 else f"{name[:12]}…{name[-9:]}"


@dataclass(frozen=True)
class Line:
    """From a parent's right side to a child's left one."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def path(self) -> str:
        """A curve, for SVG."""
        middle = (self.x1 + self.x2) // 2
        return f"M{self.x1},{self.y1} C{middle},{self.y1} {middle},{self.y2} {self.x2},{self.y2}"


class Lineage:
    """Oldest ancestor on the left, children on the right."""

    def __init__(self, read: LineageRead) -> None:
        line = [*reversed(read.ancestors), read.model]
        children = read.children[:_MOST_CHILDREN]
        self.more_children = len(read.children) - len(children)
        rows = max(1, len(children))
        self.height = rows * BOX_HEIGHT + (rows - 1) * _GAP_Y
        columns = len(line) + bool(children)
        self.width = columns * BOX_WIDTH + (columns - 1) * _GAP_X
        middle = (self.height - BOX_HEIGHT) // 2
        step = BOX_WIDTH + _GAP_X
        self.boxes = [
            Box(model, index * step, middle, is_self=model.id == read.model.id)
            for index, model in enumerate(line)
        ]
        own = self.boxes[-1]
        self.lines = [_between(one, other) for one, other in pairwise(self.boxes)]
        for index, child in enumerate(children):
            box = Box(child, len(line) * step, index * (BOX_HEIGHT + _GAP_Y))
            self.boxes.append(box)
            self.lines.append(_between(own, box))

    @property
    def is_alone(self) -> bool:
        """Neither made from a model nor made into one."""
        return len(self.boxes) == 1


def _between(parent: Box, child: Box) -> Line:
    half = BOX_HEIGHT // 2
    return Line(parent.x + BOX_WIDTH, parent.y + half, child.x, child.y + half)
