"""Every table. The migrations make them; a test holds the two against each other."""

from service.store.tables.access import (
    ChoreRow,
    IdempotencyRow,
    KeyRow,
    ProjectLimitsRow,
    SessionRow,
    WorkerRow,
)
from service.store.tables.audit import AuditRow
from service.store.tables.base import Base
from service.store.tables.comparisons import ComparisonFileRow, ComparisonRow
from service.store.tables.jobs import (
    ArtifactRow,
    AttemptRow,
    DependencyRow,
    EventRow,
    JobLabelRow,
    JobRow,
    LogChunkRow,
    MetricPointRow,
    MetricStretchRow,
    ReferenceRow,
)
from service.store.tables.mlflow import ExportRow
from service.store.tables.resources import (
    Checked,
    DatasetRow,
    FileRow,
    ModelFileRow,
    ModelRow,
    UploadRow,
)
from service.store.tables.webhooks import DeliveryRow, WebhookRow

__all__ = [
    "ArtifactRow",
    "AttemptRow",
    "AuditRow",
    "Base",
    "Checked",
    "ChoreRow",
    "ComparisonFileRow",
    "ComparisonRow",
    "DatasetRow",
    "DeliveryRow",
    "DependencyRow",
    "EventRow",
    "ExportRow",
    "FileRow",
    "IdempotencyRow",
    "JobLabelRow",
    "JobRow",
    "KeyRow",
    "LogChunkRow",
    "MetricPointRow",
    "MetricStretchRow",
    "ModelFileRow",
    "ModelRow",
    "ProjectLimitsRow",
    "ReferenceRow",
    "SessionRow",
    "UploadRow",
    "WebhookRow",
    "WorkerRow",
]
