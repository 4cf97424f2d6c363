"""What a model drops in training: masks drawn for a whole batch, of which each part takes its own.

b batch. Where x is `part` of a batch, its masks are those the batch would have: from one state of
the generator, however a batch is cut, the same is drawn.
"""

from jaxtyping import Float
from torch import Tensor, nn

X = Float[Tensor, "b *rest"]


class Mask(nn.Module):
    """Takes things away with this chance, in training alone."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance
        self.part: tuple[int, int] | None = None
        """The first clip of x in its batch, and how many clips the batch has; None: x is all."""

    def kept(self, x: X, *sizes: int) -> Float[Tensor, "b *sizes"]:
        """1 for what stays and 0 for what goes, of so many things of each clip of x."""
        first, whole = self.part or (0, len(x))
        return x.new_empty(whole, *sizes).bernoulli_(1 - self.chance)[first : first + len(x)]


class DropPath(Mask):
    """Stochastic depth as in the official code: a mask a clip, no rescaling."""

    def forward(self, x: X) -> X:
        return x * self.kept(x, 1, 1) if self.training else x


class Dropout(Mask):
    """A mask a value; what stays is rescaled, so that its mean does (Srivastava et al. 2014)."""

    def forward(self, x: X) -> X:
        if not self.training or not self.chance:
            return x
        return x * self.kept(x, *x.shape[1:]) / (1 - self.chance)
