"""What a student learns from a teacher. Shapes: B batch, K classes.

A loss takes both models' outputs and gives a mean over the batch; to add one, write it and give
it a line in `LOSSES`.
"""

from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor
from torch.nn import functional as F


def kd(student_BK: Tensor, teacher_BK: Tensor, *, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher/T) ‖ softmax(student/T)) (Hinton et al. 2015, arXiv:1503.02531).

    T² keeps the gradient's size independent of T.
    """
    student_log_BK = F.log_softmax(student_BK.float() / temperature, dim=1)
    teacher_log_BK = F.log_softmax(teacher_BK.float() / temperature, dim=1)
    divergence = F.kl_div(student_log_BK, teacher_log_BK, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


LOSSES: Final[Mapping[str, Callable[..., Tensor]]] = {"kd": kd}
