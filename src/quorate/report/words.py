"""Numbers as a lead reads them: percent, money, counts, and what stands behind them."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.measure.efficiency import Estimate

SPACE = "\u00a0"  # a number and its unit stay on one line
TARGETS = {"gold": "gold", "panel": "the majority of all people asked", "latent": "the latent class"}


def percent(share: float | None, digits: int = 0) -> str:
    r"""A share in percent; one digit more where rounding would claim a certainty.

    >>> percent(0.412), percent(0.9996), percent(None)
    ('41\xa0%', '99.96\xa0%', '–')
    """
    if share is None:
        return "–"
    value = round(100 * share, 9)  # a rounding in the last bit is no doubt
    while digits < 2 and f"{value:.{digits}f}" in {"0", "0.0", "100", "100.0"} and value not in {0.0, 100.0}:
        digits += 1
    text = f"{value:.{digits}f}"
    return f"over 99.99{SPACE}%" if value < 100 and text == "100.00" else f"{text}{SPACE}%"


def money(amount: float) -> str:
    """Dollars, with cents where they matter.

    >>> money(1234.5), money(3.207)
    ('$1,234', '$3.21')
    """
    return f"${amount:,.0f}" if abs(amount) >= 20 or amount == 0 else f"${amount:,.2f}"


def with_error(estimate: Estimate | None, digits: int = 1) -> str:
    r"""A share in percent, with two standard errors to both sides.

    >>> with_error(Estimate(0.953, 0.004))
    '95.3 ± 0.8\xa0%'
    """
    if estimate is None:
        return "–"
    if not estimate.se:  # unknown, or certain by definition
        return percent(estimate.value, digits if estimate.value < 1 else 0)
    return f"{100 * estimate.value:.{digits}f} ± {200 * estimate.se:.{digits}f}{SPACE}%"


def signed(estimate: Estimate | None, digits: int = 4) -> str:
    """A difference with its sign, and two standard errors to both sides.

    >>> signed(Estimate(-0.0021, 0.0004))
    '−0.0021 ± 0.0008'
    """
    if estimate is None:
        return "–"
    value = f"{abs(estimate.value):.{digits}f}"
    sign = "" if float(value) == 0 else "+" if estimate.value > 0 else "−"
    return f"{sign}{value}" + ("" if estimate.se is None else f" ± {2 * estimate.se:.{digits}f}")


def signed_percent(estimate: Estimate | None) -> str:
    r"""A difference of shares with its sign, in percent.

    >>> signed_percent(Estimate(0.021, 0.004))
    '+2.1 ± 0.8\xa0%'
    """
    if estimate is None:
        return "–"
    se = None if estimate.se is None else 100 * estimate.se
    return f"{signed(Estimate(100 * estimate.value, se), digits=1)}{SPACE}%"


def count(n: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    >>> count(1, "item"), count(1200, "person", "people")
    ('1 item', '1,200 people')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a sentence; many are counted.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nobody"
