"""Learn from what a teacher answers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import nn

from loomlab.compression.base import Compression
from loomlab.compression.distill_checks import SELF
from loomlab.compression.inner_losses import WIDEN, Inner
from loomlab.compression.inner_pairs import add_widening, paired, require_as_many_heads
from loomlab.compression.layer_map import cut_out
from loomlab.compression.teacher import Itself, Teacher
from loomlab.compression.teacher_cache import CachedSource
from loomlab.compression.teaching import Guide, Source


class Distill(Compression):
    """Train on a teacher's answers beside the data (Hinton et al. 2015, arXiv 1503.02531).

    The loss is (1 - alpha) * that of the objective + alpha * T^2 * KL(teacher || student) of the
    logits at temperature T, at the positions the objective scores; the logits of both are
    computed in the chunks of objective.head_chunk. `inner` adds a loss of inner states. The
    teacher runs in 32-bit floats without dropout, whole in every process; its passes are no part
    of the run's flops. Its tokenizer (and its labels) must be those of the run.
    """

    stage = 10  # before anything is frozen or pruned
    tensor_parallel = True
    cut_up = True
    requires = {"model.trained_by": ("gradient",), "objective.distribution": (True,)}
    because = {
        "model.trained_by": "what is added is a loss, and counting has none",
        "objective.distribution": "a teacher of numbers has no probabilities to learn from",
    }
    problem_check = "loomlab.compression.distill_checks.problems"
    inner: Inner | None = None

    def __init__(
        self,
        teacher: str | None = None,
        temperature: Annotated[float, "(0, inf)"] = 2.0,
        alpha: Annotated[float, "[0, 1]"] = 0.5,
        start: Literal["own", "teacher"] = "own",
        layers: list[int] = [],  # noqa: B006  a schema default, never changed
        inner: Literal["none", "distilbert", "tinybert", "minilm"] = "none",
        inner_weight: Annotated[float, "[0, inf)"] = 1.0,
        cache: str | None = None,
        cache_classes: Annotated[int, "[1, inf)"] = 64,
    ) -> None:
        """`teacher` is a run folder of loom or a Transformers folder, of the same objective.

        Or "self": the model as the run starts with it (init=, a pretrained one), before
        compression changes it.

        `start` of "teacher" gives the student the teacher's weights, of its layers every n-th or
        those that `layers` names (from 0, one for each layer of the student).

        `inner_weight` times what `inner` names is added to the loss: the cosine between the last
        hidden states (distilbert), squared differences of hidden states and attention scores of
        paired layers, every n-th or `layers` (tinybert), or the divergence of the last attention
        and of relations of values (minilm). The last two take models of as many heads; where
        widths differ, a matrix is trained beside the student that leads to the teacher's.

        `cache` is a folder for what the teacher says, of each answer the `cache_classes` likeliest
        classes and what is left for all others: runs that read the same batches, such as a sweep
        of students with one seed, ask the teacher once. It takes 6 bytes for each class and
        scored token.
        """
        self.inner_kind, self.inner_weight = inner, inner_weight
        self.cache, self.cache_classes = cache, cache_classes
        self.path, self.temperature, self.alpha = teacher, temperature, alpha
        self.start, self.layers = start, list(layers)

    def transform(self, model: nn.Module) -> nn.Module:
        """Take hold of the teacher, and of its weights if they are where the student starts.

        Raises:
            InputError: they do not fit the student.
        """
        itself = self.path == SELF
        self.teacher = Itself(copy.deepcopy(model)) if itself else Teacher(Path(str(self.path)))
        if self.start == "teacher":
            cut_out(model, self.teacher.model, self.layers)
        if self.inner_kind != "none":
            add_widening(model, self.teacher.model)
        return model

    def wrap_loss(self, objective: Any) -> Any:
        """Let the teacher have a say.

        Raises:
            InputError: it has another task, other labels or another tokenizer.
        """
        self.teacher.require_fit(objective)
        if self.cache is None:
            self.source = Source(self.teacher, objective, self.temperature)
        else:
            self.source = CachedSource(
                self.teacher, objective, self.temperature, Path(self.cache), self.cache_classes
            )
        if self.inner_kind != "none":
            student, teacher = objective.model, self.teacher.model
            pairs = paired(student, teacher, self.layers)
            if self.inner_kind != "distilbert":
                require_as_many_heads(student, teacher, self.inner_kind)
            self.inner = Inner(student, teacher, self.inner_kind, self.inner_weight, pairs)
        objective.guide = Guide(self.source, self.alpha, self.inner)
        return objective

    def finalize(self, model: nn.Module) -> nn.Module:
        """Take off what only the loss needed."""
        if self.inner is not None:
            self.inner.leave()
        if hasattr(model, WIDEN):
            delattr(model, WIDEN)
        return model

    def report(self) -> dict[str, float]:
        """What the teacher had to do, and how far the last inner states were."""
        told = self.source.report()
        return told if self.inner is None else {**told, "inner_loss": float(self.inner.last)}
