"""What to do next, after something went wrong."""

from service.cli.console import REFUSED, UNREACHABLE, complain
from service.client import ApiError, ClientError, JobFailed, UnexpectedAnswer, Unreachable
from service.client import problems as errors


def explain(error: ClientError) -> int:
    """Say it on standard error with what to do next; the exit code."""
    advice = _advice(error)
    complain(f"{error}\n{advice}" if advice else str(error))
    return UNREACHABLE if isinstance(error, Unreachable | UnexpectedAnswer) else REFUSED


def _advice(error: ClientError) -> str:
    match error:
        case Unreachable():
            return (
                "Start one with `modelpress up`, or say where it is: --url, MODELPRESS_URL or "
                "`modelpress login`."
            )
        case UnexpectedAnswer():
            return "Is the URL right? See --url, MODELPRESS_URL and `modelpress login`."
        case JobFailed(job_id=job, error=failure):
            hint = f"{failure.hint}\n" if failure.hint else ""
            return f"{hint}See `modelpress jobs logs {job}`; again: `modelpress jobs retry {job}`."
        case ApiError():
            next_step = _next_step(error)
            request = f"Request {error.problem.request_id or 'without id'}."
            return f"{next_step}\n{request}" if next_step else request
        case _:
            return ""


def _next_step(error: ApiError) -> str:
    match error:
        case errors.Unauthorized():
            return (
                "Give a key: --key, MODELPRESS_KEY or `modelpress login`. On the service's machine "
                "`modelpress keys create` makes one."
            )
        case errors.InsufficientScope():
            return "`modelpress keys list`, with a key of scope admin, shows what each key may do."
        case errors.NoSuchRoute() | errors.MethodNotAllowed():
            return "Is the service as new as this command? See `modelpress --version`."
        case errors.FormatNotAvailable():
            return "`modelpress models show MODEL` lists its formats; a job `export` makes others."
        case errors.NotFound():
            return "Is the id right, and the key of that project? The commands `list` show what is."
        case errors.NotFinished() | errors.InvalidState():
            return "`modelpress jobs show JOB` tells its state; `modelpress jobs watch JOB` waits."
        case errors.QuotaExceeded():
            return "`modelpress usage` shows what there is. Delete something, or wait for jobs."
        case errors.RateLimited() | errors.Unavailable():
            return "Try again in a moment."
        case errors.NoSpace():
            return "The service's disk or the project is full: ask its operator."
        case _:
            return ""
