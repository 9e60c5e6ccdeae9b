"""A price in dollars a token for a model that is paid for by the hour.

Who rents the machines pays for hours, whatever is asked of them. Spread over the tokens that they
can read and write in an hour, that is a price a token:

    dollars per million tokens = (dollars an hour and GPU × GPUs) / (3600 s × tokens a second) × 10⁶

once for input (reading alone) and once for output (writing alone), so that a call's cost is the
time that it keeps the machines busy. Throughputs are *measured*, at the load that is meant
(`corl-bench pool measure`); machines that stand idle cost more than this says.

Invariant: a price is exact in decimals once it is made. It is rounded up, in its
`PRICE_DECIMALS`-th decimal, so that no call is ever too cheap.

    >>> one = GpuHours(Decimal("1.80"), 1, Decimal(20000), Decimal(5000))
    >>> one.output_usd_per_mtok, one.input_usd_per_mtok
    (Decimal('0.1'), Decimal('0.025'))
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

from corl_bench.money.amounts import PRICE_DECIMALS, format_usd
from corl_bench.money.prices import MTOK

SECONDS_PER_HOUR = 3600

_UPWARDS = Context(prec=60, rounding=ROUND_CEILING)
_LAST_PLACE = Decimal(1).scaleb(-PRICE_DECIMALS)


@dataclass(frozen=True, slots=True)
class GpuHours:
    """What the machines cost, and how much they were measured to do. All figures are above 0."""

    usd_per_gpu_hour: Decimal
    gpus: int
    """That serve one copy of the model together; the throughput is theirs."""
    input_tokens_per_s: Decimal
    """Tokens read a second, all requests at that load together."""
    output_tokens_per_s: Decimal
    """Tokens written a second, all requests at that load together."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")

    @property
    def input_usd_per_mtok(self) -> Decimal:
        """Dollars per million tokens of input, rounded up."""
        return self._usd_per_mtok(self.input_tokens_per_s)

    @property
    def output_usd_per_mtok(self) -> Decimal:
        """Dollars per million tokens of output, rounded up."""
        return self._usd_per_mtok(self.output_tokens_per_s)

    def words(self) -> str:
        """How the price came about, for its source."""
        return (
            f"{self.gpus} × ${format_usd(self.usd_per_gpu_hour)} a GPU hour at"
            f" {self.input_tokens_per_s:f} input and {self.output_tokens_per_s:f} output tokens"
            " a second"
        )

    def _usd_per_mtok(self, tokens_per_s: Decimal) -> Decimal:
        hourly_usd = _UPWARDS.multiply(self.usd_per_gpu_hour, self.gpus)
        hourly_tokens = _UPWARDS.multiply(tokens_per_s, SECONDS_PER_HOUR)
        usd = _UPWARDS.divide(_UPWARDS.multiply(hourly_usd, MTOK), hourly_tokens)
        rounded = usd.quantize(_LAST_PLACE, context=_UPWARDS)
        return Decimal(format_usd(rounded))
