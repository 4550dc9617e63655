"""Order and spelling of names."""

from __future__ import annotations

import re
import unicodedata

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
DIGITS = re.compile(r"(\d{1,18})", re.ASCII)
Key = tuple[int, float, tuple[tuple[int, int, str], ...], str]


def natural_key(name: str) -> Key:
    """Sort key: numbers by value and before words; digits inside words by value.

    >>> sorted(["10", "9", "-1", "Q10", "Q2", "no"], key=natural_key)
    ['-1', '9', '10', 'no', 'Q2', 'Q10']
    """
    if NUMBER.fullmatch(name):
        return 0, float(name), (), name
    parts = [part for part in DIGITS.split(name.casefold()) if part]
    return 1, 0.0, tuple((0, int(part), "") if DIGITS.fullmatch(part) else (1, 0, part) for part in parts), name


def plain_spelling(name: str) -> str:
    """What two spellings of one answer have in common: no white space around, composed letters, whole numbers bare.

    >>> plain_spelling(" yes "), plain_spelling("1.0"), plain_spelling("01"), plain_spelling("1.50")
    ('yes', '1', '01', '1.50')
    """
    text = unicodedata.normalize("NFC", " ".join(name.split()))
    return text.split(".")[0] if re.fullmatch(r"-?(0|[1-9]\d*)\.0+", text, re.ASCII) else text
