"""Lightning's side of a pipeline: a step is a schedule of micro-batches over all stages."""

# Shapes: B rows, T positions, D width.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

from loomlab.objective.base import Batch, Objective
from loomlab.parallelism.ddp import RunFolderDDP
from loomlab.parallelism.sharded import Whole
from loomlab.parallelism.staged_state import StagedOptimizer, on_first, within
from loomlab.parallelism.stages import Stage, cut, held, trunk_of, weights_of

SCHEDULES = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}


class Pipelined(RunFolderDDP):
    """Processes in rows: those of a row hold one stage each and read the same batch."""

    def __init__(
        self, run_dir: Path, timeout: float, stages: int, schedule: str, parts: int, whole: Whole
    ) -> None:
        super().__init__(run_dir, timeout)
        self.stages, self.schedule, self.parts, self.whole = stages, schedule, parts, whole
        self.steps: dict[torch.Size, Any] = {}  # the schedule for each shape of a batch

    @property
    def copies(self) -> int:
        """Rows of processes, each with a whole model."""
        return self.world_size // self.stages

    @property
    def objective(self) -> Objective:
        """What is trained."""
        assert isinstance(self.lightning_module, Objective)
        return self.lightning_module

    def configure_ddp(self) -> None:
        """Nothing is wrapped; the groups of processes are made."""
        self.stage, self.last = self.global_rank % self.stages, self.stages - 1
        self.first_rank = self.global_rank - self.stage  # of its row
        rows = [range(r, r + self.stages) for r in range(0, self.world_size, self.stages)]
        self.row = self._own_group([list(row) for row in rows])
        self.ends = self._own_group([[row[0], row[-1]] for row in rows])
        column = [[row[stage] for row in rows] for stage in range(self.stages)]
        self.column = self._own_group(column)

    def _own_group(self, groups: list[list[int]]) -> Any:
        """The one of several groups that this process is in; all processes make all of them."""
        made = [dist.new_group(ranks, timeout=self._timeout) for ranks in groups]
        mine = (g for g, ranks in zip(made, groups, strict=True) if self.global_rank in ranks)
        return next(mine, None)

    def setup_optimizers(self, trainer: pl.Trainer) -> None:
        """Make the optimizer of the whole model, and then leave to it what this stage holds.

        So groups, rates and schedules are those of one process.
        """
        model = self.objective.model
        super().setup_optimizers(trainer)
        self.whole.keep(model)
        names = {id(p): name for name, p in self.objective.named_parameters()}
        of_stages = [weights_of(model, held(model, self.stages, s)) for s in range(self.stages)]
        own, self.tied = of_stages[self.stage], of_stages[0] & of_stages[-1]
        self.staged = [StagedOptimizer(o, names, own) for o in self.optimizers]
        cut(model, self.stages, self.stage)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.module = Stage(
            self.objective, self.stage == 0, self.stage == self.last,
            self.precision_plugin.forward_context,
        )  # fmt: skip

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, with gradients that are computed already."""
        self.module.parts = self.objective.parts(batch, self.parts)
        before = [p.grad for p in self.trained]
        for parameter in self.trained:
            parameter.grad = None
        loss = self._run(batch["input_ids"])
        gradients = [p.grad for p in self.trained]
        for parameter, gradient in zip(self.trained, before, strict=True):
            parameter.grad = gradient
        self.module.parts = []
        handed: Tensor = _Computed.apply(loss, gradients, *self.trained)
        return handed

    def _run(self, ids_BT: Tensor) -> Tensor:
        """One pass of the schedule; its loss, which the last stage tells the others of its row."""
        if ids_BT.shape not in self.steps:
            self.steps[ids_BT.shape] = self._plan(ids_BT)
        numbers = torch.arange(self.parts)
        losses: list[Tensor] = []
        told = {"target": numbers, "losses": losses} if self.module.last else {}
        self.steps[ids_BT.shape].step(part=numbers, return_outputs=False, **told)
        loss = torch.zeros((), device=self.root_device)
        if losses:
            loss = torch.stack(losses).sum().detach()
        dist.broadcast(loss, self.first_rank + self.last, group=self.row)
        return loss

    def _plan(self, ids_BT: Tensor) -> Any:
        """The schedule for batches of a shape; hidden states travel as 32-bit floats."""
        width = trunk_of(self.objective.model).config.width
        shape = (len(ids_BT) // self.parts, ids_BT.shape[1], width)
        hidden_BTD = torch.empty(shape, device="meta", requires_grad=True)
        loss = torch.empty(1, device="meta", requires_grad=True)
        stage = PipelineStage(
            self.module, self.stage, self.stages, self.root_device,
            input_args=() if self.module.first else (hidden_BTD,),
            output_args=(loss if self.module.last else hidden_BTD,), group=self.row,
        )  # fmt: skip
        return SCHEDULES[self.schedule](
            stage, self.parts, loss_fn=lambda loss, _: loss.sum(), scale_grads=False
        )

    def post_backward(self, closure_loss: Tensor) -> None:
        """Once the micro-steps are done: sum over the ends of a tied weight, average over rows."""
        if self.objective.trainer.fit_loop._should_accumulate():
            return
        for parameter in self.trained:
            if id(parameter) in self.tied and parameter.grad is not None:
                dist.all_reduce(parameter.grad, group=self.ends)
        gradients = [p.grad for p in self.trained if p.grad is not None]
        if self.copies > 1 and gradients:
            message = torch.cat([g.reshape(-1) for g in gradients])
            dist.all_reduce(message, group=self.column)
            message /= self.copies
            for gradient, part in zip(
                gradients, message.split([g.numel() for g in gradients]), strict=True
            ):
                gradient.copy_(part.view_as(gradient))

    def clip_gradients(self, limit: float) -> None:
        """Scale the gradients of all stages so that their norm together is no more."""
        twice = self.tied if self.module.last else set()
        once = [p.grad for p in self.trained if p.grad is not None and id(p) not in twice]
        square = torch.zeros((), device=self.root_device)
        if once:
            square = torch.stack(list(torch._foreach_norm(once))).square().sum()
        dist.all_reduce(square, group=self.row)
        factor = (limit / (square.sqrt() + 1e-6)).clamp(max=1.0)  # as in torch
        torch._foreach_mul_([p.grad for p in self.trained if p.grad is not None], factor)

    @torch.no_grad()
    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        """Pass the hidden states of a batch on; the last stage scores it.

        While it does, the stages before are at work on the next batches.
        """
        ids_BT = batch["input_ids"]
        received = []
        if not self.module.first:
            width = trunk_of(self.objective.model).config.width
            received = [torch.empty((*ids_BT.shape, width), device=self.root_device)]
            dist.recv(received[0], self.global_rank - 1, group=self.row)
        inputs = self.module.inputs(batch, *received)
        with self.precision_plugin.val_step_context():
            if self.module.last:
                return self.objective.validation_step(inputs, batch_idx)
            hidden_BTD = self.module.hidden(inputs).float().contiguous()
        dist.send(hidden_BTD, self.global_rank + 1, group=self.row)
        return None

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The weights of all stages on the first process, of its own stage on the others."""
        return self._together(self.objective.state_dict())

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """The state as of an optimizer of the whole model, on the first process."""
        plain = optimizer._optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        staged = next(s for s in self.staged if s.optimizer is plain)
        return staged.as_whole(self._together(staged.by_name()))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this stage's part of states that any option has saved."""
        for staged, state in zip(self.staged, checkpoint["optimizer_states"], strict=True):
            staged.load(state)

    def _together(self, state: dict[str, Any]) -> dict[str, Any]:
        if self.first_rank:
            return state  # another row has the same
        return within(self.row, state)

    def gather_model(self) -> nn.Module | None:
        """The whole model on the first process, None on the others; all of them must ask."""
        state = self.lightning_module_state_dict()
        return self.whole.filled(state) if on_first() else None


class _Computed(torch.autograd.Function):
    """A loss whose gradients are there before it is differentiated."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, gradients: list[Tensor | None], *parameters: Tensor
    ) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        scaled = [None if g is None else g.mul_(outer[0]) for g in ctx.gradients]
        return None, None, *scaled
