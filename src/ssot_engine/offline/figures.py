"""How figures are written: money, counts, shares and milliseconds."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

__all__ = ["counted", "milliseconds", "share", "usd", "usd_exact", "usd_rate", "whole"]

_CENT = Decimal("0.01")
_SMALLEST = Decimal("0.0001")
_TINY = Decimal("0.000000001")


def usd(amount: Decimal) -> str:
    """Dollars for reading: to the cent from $1 on, to a hundredth of a cent below, tiny ones to the billionth."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size >= 1:
        return f"{sign}${size.quantize(_CENT, ROUND_HALF_UP):,}"
    if 0 < size < _SMALLEST:
        return usd_exact(amount.quantize(_TINY, ROUND_HALF_UP))
    return f"{sign}${_at_least_cents(size.quantize(_SMALLEST, ROUND_HALF_UP))}"


def usd_exact(amount: Decimal) -> str:
    """Dollars for arithmetic: every digit, so that sums and differences come out as shown."""
    return f"{'-' if amount < 0 else ''}${_at_least_cents(abs(amount))}"


def usd_rate(per_million: Decimal) -> str:
    """A price as the table gives it: `$2.50/M`."""
    return f"${_at_least_cents(per_million)}/M"


def _at_least_cents(amount: Decimal) -> str:
    text = f"{amount:,f}"
    kept = text.rstrip("0") if "." in text else text + "."
    return kept + "0" * max(0, kept.index(".") + 3 - len(kept))


def whole(count: int) -> str:
    """A count with thousands separators."""
    return f"{count:,}"


def counted(count: int, noun: str) -> str:
    """`1 call`, `1,204 calls`."""
    return f"{whole(count)} {noun}{'' if count == 1 else 's'}"


def share(part: Decimal | int, of: Decimal | int) -> str:
    """`part` of `of` in per cent to one decimal; of nothing it is 0.0%."""
    ratio = Decimal(part) / Decimal(of) * 100 if of else Decimal(0)
    return f"{ratio.quantize(Decimal('0.1'), ROUND_HALF_UP)}%"


def milliseconds(value: float) -> str:
    """A duration in whole milliseconds."""
    return f"{value:,.0f} ms"
