"""The dashboard, at /ui: pages drawn from what the API shows, and a little JavaScript of our own
that keeps them live. See docs/adr/0012-the-dashboard-shows-what-the-api-shows.md."""

from pathlib import Path

from fastapi import FastAPI

from service.web import assets, compare, datasets, job, jobs, models, new_job, signing, workers
from service.web.bundle import Bundle
from service.web.errors import draw_error

# The page of a job is last: its path would take that of a new job.
_ROUTERS = (assets, signing, jobs, new_job, models, compare, datasets, workers, job)


def install(app: FastAPI, cache: Path) -> None:
    """Mount the pages. They are not part of the API, and so not of its description. The charts
    library is kept in the folder `cache`."""
    app.state.charts_library = Bundle(cache)
    for module in _ROUTERS:
        app.include_router(module.router, include_in_schema=False)
    app.state.draw_error = draw_error
