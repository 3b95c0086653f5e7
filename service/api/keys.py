"""/v1/keys: who may come in. Keys of every project are managed with the scope `admin`."""

from datetime import datetime, timedelta

from fastapi import APIRouter

from service.api.deps import Admin, After, Limit, ServicesDep, problems
from service.api.schemas import key_read, page
from service.auth import generate_key, new_key
from service.contract.wire import KeyCreate, KeyCreated, KeyRead, KeyRotate, Page
from service.errors import Invalid
from service.store.keys import KeyStore
from service.store.session import now
from service.store.tables import KeyRow

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", name="create_key", status_code=201, summary="Make a key", responses=problems())
def create_key(asked: KeyCreate, caller: Admin, services: ServicesDep) -> KeyCreated:
    """The secret is in this answer and nowhere else: only its SHA-256 is kept."""
    secret = generate_key()
    scopes = tuple(dict.fromkeys(asked.scopes))
    key = new_key(secret, asked.project, asked.name, scopes, asked.expires_at)
    with services.database.transaction() as session:
        if asked.expires_at is not None and asked.expires_at <= now(session):
            raise Invalid.at("#/expires_at", "must be in the future", "expiry_in_the_past")
        read = key_read(KeyStore(session).create(key))
    return KeyCreated(**read.model_dump(), key=secret)


@router.get("", name="list_keys", summary="List keys", responses=problems())
def list_keys(
    caller: Admin, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[KeyRead]:
    """Newest first, without their secrets; revoked ones are left out."""
    with services.database.read() as session:
        rows = KeyStore(session).list(limit + 1, after)
    return page([key_read(row) for row in rows], limit, [row.id for row in rows])


@router.post(
    "/{key_id}/rotate",
    name="rotate_key",
    status_code=201,
    summary="Replace a key",
    responses=problems(404, 409),
)
def rotate_key(key_id: str, asked: KeyRotate, caller: Admin, services: ServicesDep) -> KeyCreated:
    """A new key with the same name, project and scopes; its secret is in this answer and nowhere
    else. The old one opens until the grace is over, so that whoever uses it can change over."""
    secret = generate_key()
    with services.database.transaction() as session:
        old = KeyStore(session).get(key_id)
        expires_at = _expiry(asked, old, now(session))
        key = new_key(secret, old.project, old.name, tuple(old.scopes), expires_at)
        grace = timedelta(seconds=asked.grace_s)
        read = key_read(KeyStore(session).rotate(key_id, key, grace))
    return KeyCreated(**read.model_dump(), key=secret)


def _expiry(asked: KeyRotate, old: KeyRow, moment: datetime) -> datetime | None:
    if asked.expires_at is not None:
        if asked.expires_at <= moment:
            raise Invalid.at("#/expires_at", "must be in the future", "expiry_in_the_past")
        return asked.expires_at
    return None if old.expires_at is None else moment + (old.expires_at - old.created_at)


@router.delete(
    "/{key_id}",
    name="revoke_key",
    status_code=204,
    summary="Revoke a key",
    responses=problems(404),
)
def revoke_key(key_id: str, caller: Admin, services: ServicesDep) -> None:
    """It opens nothing from now on, in any API process; a stream that it opened ends within a
    second."""
    with services.database.transaction() as session:
        KeyStore(session).revoke(key_id)
