"""The first look at an upload: headers only, by code that parses no content and loads no library.

Memory stays below 8 MiB and time below a second, whatever the file says of itself. What is let
pass is still only a claim; a worker reads the content in a child of its own.
"""

from service.peek.dataset import check_dataset as check_dataset
from service.peek.model import format_of as format_of
