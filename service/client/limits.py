"""Limits of projects."""

from service.client.http import Http, read_as
from service.contract.limits import ProjectLimitsRead


class Limits:
    """What projects may have; reading and setting it takes the scope `admin`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, project: str) -> ProjectLimitsRead:
        """Those of its own, and those that hold."""
        return self._http.get(ProjectLimitsRead, f"/v1/projects/{project}/limits")

    def set(
        self,
        project: str,
        *,
        queued_jobs: int | None = None,
        running_jobs: int | None = None,
        stored_bytes: int | None = None,
    ) -> ProjectLimitsRead:
        """In the place of those it had. None: as the settings of the service say."""
        asked = {
            "queued_jobs": queued_jobs,
            "running_jobs": running_jobs,
            "stored_bytes": stored_bytes,
        }
        response = self._http.request("PUT", f"/v1/projects/{project}/limits", json=asked)
        return read_as(ProjectLimitsRead, response)
