"""The reachability proof: every declared flow passes all filters on its way, and nothing else passes anywhere.

It tries every packet of a platform (see `trial`), and judges each filter by itself as well (see `excess`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .excess import Excess, excesses
from .layers import Fabric, build_fabric
from .model import Platform
from .packets import Block
from .questions import Refusal, refusals
from .trial import FlowProof, Path, Trial


@dataclass(frozen=True)
class Proof:
    """The result for one platform."""

    stack: str
    flows: tuple[FlowProof, ...]
    undeclared: tuple[Path, ...]
    """Packets that pass although no flow says so."""
    public: tuple[Path, ...]
    """Packets that pass because one end may call anybody and the other, by a public flow, hears anybody."""
    excess: tuple[Excess, ...]
    refusals: tuple[Refusal, ...]
    """What must never pass, by name."""
    actors: int
    refused: Mapping[Block, int]
    """Combinations of sender, receiver, transport and port that do not pass, by what stops them first."""
    passing: int

    @property
    def open_refusals(self) -> tuple[Refusal, ...]:
        """What passes although it must never do."""
        return tuple(r for r in self.refusals if not r.holds)

    @property
    def holds(self) -> bool:
        """Whether every flow works, nothing else passes, and no filter is wider than its flows."""
        return all(f.holds for f in self.flows) and not (self.undeclared or self.excess or self.open_refusals)


def prove(platform: Platform) -> Proof:
    """Return the proof for a platform as its generators make the filters."""
    return prove_fabric(build_fabric(platform))


def prove_fabric(fabric: Fabric) -> Proof:
    """Return the proof for these filters, whoever made them."""
    trial = Trial(fabric)
    flows = tuple(trial.flow(flow) for flow in fabric.platform.flows)
    undeclared, public = trial.others()
    return Proof(
        stack=fabric.platform.stack,
        flows=flows,
        undeclared=undeclared,
        public=public,
        excess=excesses(fabric),
        refusals=refusals(trial),
        actors=len(trial.actors),
        refused=trial.refused,
        passing=trial.passing,
    )
