"""The documents that are drawn: reports of jobs, and comparisons."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from service.contract.comparisons import Comparison
from service.contract.reports import Report

AnyDocument = Report | Comparison
DOCUMENTS: TypeAdapter[AnyDocument] = TypeAdapter(
    Annotated[AnyDocument, Field(discriminator="object")]
)
