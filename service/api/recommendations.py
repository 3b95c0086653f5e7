"""/v1/recommendations: what to do with a model, best first."""

from fastapi import APIRouter

from service.api.deps import Reader, ServicesDep, problems
from service.contract.recommendations import RecommendationCreate, Recommendations
from service.recommend import recommend

router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])


@router.post(
    "",
    name="recommend",
    summary="Ask what to do with a model",
    response_model_exclude_unset=True,  # specs are shown as they are asked, without defaults
    responses=problems(404, 409),
)
def create_recommendations(
    asked: RecommendationCreate, caller: Reader, services: ServicesDep
) -> Recommendations:
    """Runs nothing and keeps nothing. Each recommendation is a job, or a chain of jobs, ready for
    `POST /v1/jobs`, with its reason and what speaks for it."""
    return recommend(services.database, caller.project, asked, services.settings.lease_s)
