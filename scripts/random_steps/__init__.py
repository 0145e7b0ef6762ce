"""The steps that a random program is made of: for every operator, how its arguments are drawn.

A step is an operator's name (as in PyTorch's test database, with its variant) with positional and keyword arguments. The
tables know what an operator takes, not what anything here computes: nothing is left out because it differs. What is left
out is what PyTorch leaves open: order of ties in an unstable sort, places written twice, floats that no integer holds.

Importing a module registers its steps. A seed's program depends on the order of all steps, hence on the order here."""

from random_steps import (  # noqa: F401, I001
    elementwise,
    reductions,
    products,
    views,
    joining,
    indexing,
    inplace,
    history,
    creation,
    functional,
)
from random_steps.draw import NAMES, STEPS, Draw, Ref, Skip

__all__ = ["NAMES", "STEPS", "Draw", "Ref", "Skip"]
