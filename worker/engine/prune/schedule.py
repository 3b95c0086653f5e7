"""How an amount of pruning grows from step to step."""

from typing import Literal, assert_never

ScheduleName = Literal["one_shot", "linear", "cubic"]


def levels(
    name: ScheduleName, final: float, *, initial: float = 0.0, steps: int = 1
) -> tuple[float, ...]:
    """The amount after each step; the last one is `final`.

    `cubic` is s_t = s_f + (s_i − s_f)(1 − t/n)³ (Zhu and Gupta 2017, arXiv:1710.01878): much while
    much can be spared, little at the end.
    """
    if not 0 <= initial <= final < 1:
        raise ValueError(f"need 0 <= initial <= final < 1, got {initial} and {final}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    match name:
        case "one_shot":
            return (final,)
        case "linear":
            return tuple(initial + (final - initial) * step / steps for step in range(1, steps + 1))
        case "cubic":
            left = [(1 - step / steps) ** 3 for step in range(1, steps + 1)]
            return tuple(final + (initial - final) * share for share in left)
        case _:
            assert_never(name)
