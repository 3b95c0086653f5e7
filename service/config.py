"""Settings, read from `MODELPRESS_*` at entry points only and passed down."""

import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.addresses import Network, parse_networks
from service.sources import parse_sources

Seconds = Annotated[float, Field(gt=0)]
Days = Annotated[float | None, Field(gt=0)]
Count = Annotated[int | None, Field(ge=0)]
PerMinute = Annotated[int, Field(ge=0, le=10_000_000)]


class Settings(BaseSettings):
    """What an operator can set. Every field is an environment variable `MODELPRESS_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="MODELPRESS_", frozen=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(
        Path("data"), description="Database, blobs and scratch of a one-machine installation."
    )
    database_url: str | None = Field(
        None, description="postgresql+psycopg://… or sqlite:///…; None: SQLite in data_dir."
    )
    broker_url: str | None = Field(
        None, description="redis://… or redis+socket://…; None: the embedded broker's socket."
    )
    blobs_url: str | None = Field(
        None, description="file:///… or s3://bucket/prefix; None: a folder in data_dir."
    )
    s3_endpoint: str | None = Field(None, description="Of an S3 service that is not Amazon's.")
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    sources: str | None = Field(
        None, description="name=file:///… or name=s3://bucket/prefix, with commas between."
    )

    host: str = Field("127.0.0.1", description="Address the API binds to.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API binds to.")
    bootstrap_key: SecretStr | None = Field(
        None, description="An admin key (`mp_…`) accepted from the first start on."
    )
    max_upload_bytes: int = Field(8 << 30, ge=1, description="Largest file that is taken.")
    max_body_bytes: int = Field(1 << 20, ge=1024, description="Largest JSON body.")

    webhook_networks: str | None = Field(
        None, description="Own networks that webhooks may reach: CIDRs, with commas between."
    )

    mlflow_tracking_uri: str | None = Field(
        None, description="http(s):// address of an MLflow server that gets jobs which ended."
    )
    mlflow_experiment: str = Field(
        "modelpress/{project}",
        min_length=1,
        max_length=400,
        description="Experiment that a job's run goes to; {project} is the job's.",
    )
    mlflow_username: str | None = Field(
        None,
        validation_alias=AliasChoices("MODELPRESS_MLFLOW_USERNAME", "MLFLOW_TRACKING_USERNAME"),
        description="Of the MLflow server; MLFLOW_TRACKING_USERNAME is read too.",
    )
    mlflow_password: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("MODELPRESS_MLFLOW_PASSWORD", "MLFLOW_TRACKING_PASSWORD"),
        description="Of the MLflow server; MLFLOW_TRACKING_PASSWORD is read too.",
    )
    mlflow_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("MODELPRESS_MLFLOW_TOKEN", "MLFLOW_TRACKING_TOKEN"),
        description="In the place of both; MLFLOW_TRACKING_TOKEN is read too.",
    )

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="What a worker computes on.")
    job_slots: int = Field(1, ge=1, le=64, description="Jobs a worker runs at once.")
    intake_slots: int = Field(
        2, ge=1, le=16, description="Uploads a worker checks at once, beside its jobs."
    )
    worker_name: str = Field(
        default_factory=socket.gethostname, description="Shown in the list of workers."
    )
    memory_limit_bytes: int | None = Field(
        None, ge=1 << 28, description="Resident memory at which an engine child is ended."
    )
    job_timeout_s: Seconds = Field(36_000, description="Run time of a job that names none.")

    heartbeat_s: Seconds = Field(1.0, description="Between two signs of life of a worker.")
    lease_s: Seconds = Field(10.0, description="Silence after which a job is taken away.")
    sweep_s: Seconds = Field(2.0, description="Between two looks for lost or forgotten jobs.")
    drain_s: Seconds = Field(25.0, description="Grace of what a worker does when it is stopped.")
    upload_ttl_s: Seconds = Field(86_400.0, description="Life of an unfinished upload.")

    max_queued_jobs: Count = Field(
        None, description="Jobs of a project that wait, queued or paused; None: any number."
    )
    max_running_jobs: Count = Field(
        None, description="Jobs of a project that run at once; None: any number."
    )
    max_stored_bytes: Count = Field(
        None, description="Bytes that a project keeps; None: as many as there is room for."
    )
    session_s: Seconds = Field(
        43_200.0, description="Life of a sign-in to the dashboard, which nothing prolongs."
    )
    rate_reads: PerMinute = Field(
        60_000, description="Reading requests of a key in a minute, of one API process; 0: any."
    )
    rate_writes: PerMinute = Field(
        30_000, description="Writing requests of a key in a minute, of one API process; 0: any."
    )
    rate_refusals: PerMinute = Field(
        6_000, description="Refused keys of an address in a minute, of one API process; 0: any."
    )

    collect_s: Seconds = Field(
        3600.0, description="Between two collections of blobs and two looks for what is too old."
    )
    blob_grace_s: Annotated[float, Field(ge=3600)] = Field(
        86_400.0, description="Age at which a blob that nothing names is deleted."
    )
    keep_jobs_days: Days = Field(
        None, description="Life of a job after its end; None: until someone deletes it."
    )
    keep_checkpoints_days: Days = Field(
        7.0, description="Life of checkpoints after their job's end; None: as long as the job."
    )
    keep_events_days: Days = Field(
        None, description="Life of events but those of states; None: as long as the job."
    )
    keep_metrics_days: Days = Field(
        None, description="Life of the points of metrics; None: as long as the job."
    )
    keep_logs_days: Days = Field(None, description="Life of logs; None: as long as the job.")
    keep_audit_days: Days = Field(365.0, description="Life of the audit log; None: for ever.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="For machines or people; auto: for people where stderr is a terminal."
    )

    @field_validator("sources")
    @classmethod
    def _can_be_read(cls, value: str | None) -> str | None:
        parse_sources(value or "")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        parse_networks(value or "")
        return value

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _is_a_server(cls, value: str | None) -> str | None:
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be the http:// or https:// address of an MLflow server")
        if "@" in parts.netloc or parts.query or parts.fragment:  # it is shown in events
            raise ValueError(
                "must have no user, query or fragment: MLFLOW_TRACKING_USERNAME and"
                " MLFLOW_TRACKING_PASSWORD hold those two"
            )
        return value.rstrip("/")

    @property
    def own_networks(self) -> tuple[Network, ...]:
        """What webhooks may reach besides global addresses."""
        return parse_networks(self.webhook_networks or "")

    @property
    def declared_sources(self) -> dict[str, str]:
        """URLs of the sources of data, by name."""
        return parse_sources(self.sources or "")

    @property
    def database(self) -> str:
        """URL of the database."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'modelpress.db'}"

    @property
    def broker_socket(self) -> Path:
        """Unix socket of the embedded broker."""
        return self.data_dir.resolve() / "valkey.sock"

    @property
    def broker(self) -> str:
        """URL of the broker."""
        return self.broker_url or f"redis+socket://{self.broker_socket}?virtual_host=0"

    @property
    def blobs(self) -> str:
        """URL of the blob store."""
        return self.blobs_url or f"file://{self.data_dir.resolve() / 'blobs'}"

    @property
    def staging_dir(self) -> Path:
        """Where bytes wait until they are whole. With local blobs it is on their file system."""
        return self.data_dir.resolve() / "staging"

    @property
    def uploads_dir(self) -> Path:
        """Where the parts of resumable uploads gather."""
        return self.data_dir.resolve() / "uploads"

    @property
    def scratch_dir(self) -> Path:
        """Working folders of running jobs."""
        return self.data_dir.resolve() / "scratch"
