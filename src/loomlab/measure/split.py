"""A global batch shared out: processes, micro-steps of each, and rows of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """`steps` micro-steps before each optimizer step, in which a process reads `rows` rows."""

    steps: int
    rows: int


class Uneven(ValueError):
    """A batch that cannot be shared so: the key to change, what is wrong, and what would do."""

    def __init__(self, key: str, what: str, fix: str) -> None:
        super().__init__(f"{key}: {what}; {fix}")
        self.key, self.what, self.fix = key, what, fix


def split_batch(
    total: int, shares: int, steps: int | None = None, micro: int | None = None, parts: int = 1
) -> Split:
    """How `total` rows are shared by `shares` processes that read different ones.

    `steps` (None: derived) and `micro`, the rows of a forward pass (None: all there are), are
    what the user asks for; the rows of a micro-step are in `parts` forward passes.

    Raises:
        Uneven: there is no such split.
    """
    if micro is None:
        steps = steps or 1
        if total % (shares * steps):
            what = f"{total} rows cannot be shared by {shares} processes x {steps} micro-steps"
            fix = f"nearest that can: {nearest_multiples(total, shares * steps)}"
            raise Uneven("global_batch_size", what, fix)
        return Split(steps, total // (shares * steps))
    at_once = shares * micro * parts
    if total % at_once:
        raise Uneven("micro_batch_size", *_uneven(total, shares, micro, parts))
    found = Split(total // at_once, micro * parts)
    if steps not in (None, found.steps):
        what = (
            f"{micro} rows make {found.steps} micro-steps of {shares} processes out of "
            f"global_batch_size={total}, and trainer.accumulate_grad_batches={steps}"
        )
        raise Uneven("micro_batch_size", what, "give one of the two")
    return found


def _uneven(total: int, shares: int, micro: int, parts: int) -> tuple[str, str]:
    """Why the rows cannot be cut into micro-batches, and the nearest that can be."""
    cut = f" x {parts} parts" if parts > 1 else ""
    what = f"{total} rows cannot be cut into micro-batches of {micro} in {shares} processes{cut}"
    share, rest = divmod(total, shares * parts)
    sizes = f"{nearest_divisors(share, micro)}, or " if not rest else ""
    whole = f"global_batch_size={nearest_multiples(total, shares * micro * parts)}"
    return what, f"nearest that can: {sizes}{whole}"


def nearest_multiples(total: int, parts: int) -> str:
    """The multiples of `parts` next to `total`, in words; the lower one only if above 0."""
    below = total // parts * parts
    return f"{below} or {below + parts}" if below else str(parts)


def nearest_divisors(total: int, parts: int) -> str:
    """The numbers next to `parts` that divide `total`, in words."""
    divisors = [n for n in range(1, total + 1) if total % n == 0]
    below = [n for n in divisors if n < parts][-1:]
    above = [n for n in divisors if n > parts][:1]
    return " or ".join(str(n) for n in below + above)
