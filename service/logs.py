"""Structured logs on stderr: JSON for machines, columns for people."""

import logging
import sys
from typing import Any, Final

import structlog

from service.config import Settings
from service.key_text import without_keys

_EXTRAS: Final = ("method", "route", "status", "ms", "action", "target")  # of a request's line

_QUIET: Final = ("celery", "httpx2")  # a line for each nudge, and for each request of ours


def configure(settings: Settings) -> None:
    """Set up logging for this process; a second call replaces the first.

    Records of other libraries go through the same pipe. What a caller sent is never logged, and
    should a key get into a line all the same, it is cut down to its beginning.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    chosen = settings.log_format
    console = chosen == "console" or (chosen == "auto" and sys.stderr.isatty())
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Its own default prints local variables, and a key may be among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
        if console
        else structlog.processors.JSONRenderer()
    )
    # The console renderer draws tracebacks itself.
    drawn = [render] if console else [structlog.processors.format_exc_info, render]
    finish = [*drawn, _without_keys]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(_EXTRAS)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for talkative in _QUIET:
        logging.getLogger(talkative).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)  # or libraries write lines that no machine reads
    logging.getLogger("uvicorn.access").disabled = True  # `service.api.request_log` tells more


def _without_keys(_logger: object, _method: str, line: Any) -> str:
    return without_keys(str(line))
