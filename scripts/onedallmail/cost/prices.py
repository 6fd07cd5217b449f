"""The dated price table as a model; the data is prices.yaml."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Charge(_Entry):
    """What one resource of a type costs while it exists; prices in USD."""

    what: str
    hourly: float | dict[str, float] | None = None
    monthly: float | dict[str, float] | None = None
    times: str | None = None
    """Path of a property whose number, or number of elements, is the quantity."""
    by: str | None = None
    """Property whose value picks the price."""
    when: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.hourly is None) == (self.monthly is None):
            msg = f"{self.what}: either hourly or monthly"
            raise ValueError(msg)
        if isinstance(self.price, dict) != (self.by is not None):
            msg = f"{self.what}: `by` goes with a price for each of its values"
            raise ValueError(msg)
        return self

    @property
    def price(self) -> float | dict[str, float]:
        """The price, or the prices by value of `by`."""
        found = self.hourly if self.hourly is not None else self.monthly
        assert found is not None  # noqa: S101 - the validator saw to it; for mypy
        return found


class Usage(_Entry):
    """An assumed quantity a month and the price of one unit."""

    what: str
    quantity: float
    monthly: float


class Subscription(_Entry):
    """What the account pays once a month."""

    what: str
    monthly: float


class Prices(_Entry):
    """The whole table."""

    as_of: date
    hours_per_month: int
    charges: dict[str, tuple[Charge, ...]]
    usage: dict[str, Usage]
    subscriptions: dict[str, Subscription]


TABLE = Path(__file__).with_name("prices.yaml")


@cache
def load_prices(path: Path = TABLE) -> Prices:
    """Return the price table; pydantic's ValidationError names a wrong entry."""
    return Prices.model_validate(yaml.safe_load(path.read_text()))
