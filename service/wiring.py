"""How a process opens what the settings name; the same for the API and the worker."""

from service.blobs import BlobStore, S3Options, open_blobs
from service.config import Settings


def open_blob_store(settings: Settings) -> BlobStore:
    """The blob store of an installation. Makes no request yet."""
    return open_blobs(settings.blobs, settings.staging_dir, s3=s3_options(settings))


def s3_options(settings: Settings) -> S3Options:
    """How blobs and sources in S3 are reached."""
    return S3Options(endpoint=settings.s3_endpoint, region=settings.s3_region)
