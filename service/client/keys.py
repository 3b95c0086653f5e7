"""API keys."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from service.client.http import Http, read_as
from service.contract.wire import KeyCreated, KeyRead, Page, Scope


class Keys:
    """API keys; managing them takes the scope `admin`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        *,
        name: str | None = None,
        project: str | None = None,
        scopes: Sequence[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> KeyCreated:
        """A new key. Its secret is in this answer and nowhere else."""
        asked = {
            "name": name,
            "project": project,
            "scopes": None if scopes is None else list(scopes),
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        given = {field: value for field, value in asked.items() if value is not None}
        return read_as(KeyCreated, self._http.request("POST", "/v1/keys", json=given))

    def list(self) -> Iterator[KeyRead]:
        """Keys, newest first, without their secrets."""
        return self._http.pages(Page[KeyRead], "/v1/keys")

    def rotate(
        self, key_id: str, *, grace_s: int | None = None, expires_at: datetime | None = None
    ) -> KeyCreated:
        """A key in the place of another, which opens for `grace_s` seconds more (an hour)."""
        asked: dict[str, object] = {}
        if grace_s is not None:
            asked["grace_s"] = grace_s
        if expires_at is not None:
            asked["expires_at"] = expires_at.isoformat()
        return read_as(
            KeyCreated, self._http.request("POST", f"/v1/keys/{key_id}/rotate", json=asked)
        )

    def revoke(self, key_id: str) -> None:
        """End a key at once."""
        self._http.request("DELETE", f"/v1/keys/{key_id}")
