"""Cheap descriptors of a text: numbers that tell how it is written, none that tell what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE = re.compile(r"[.!?]+(?:\s|$)")

DESCRIPTORS: Mapping[str, str] = {
    "characters": "length in characters",
    "words": "runs of letters, digits and underscores",
    "lines": "lines",
    "sentences": "ends of sentences",
    "word_length": "mean length of a word",
    "vocabulary": "distinct words over words, letter case aside",
    "letters": "share of characters that are letters",
    "digits": "share of characters that are digits",
    "punctuation": "share of characters that are neither letters, digits nor white space",
    "capitals": "share of letters that are capitals",
    "beyond_ascii": "share of characters beyond ASCII",
    "questions": "question marks",
}
"""Name of each descriptor to what it is. All are deterministic and need no model and no word list."""


def describe_text(text: str) -> dict[str, float]:
    """The descriptors of one text; shares of an empty one are 0.

    The same text gives the same numbers on every machine.
    """
    length = len(text)
    words = _WORD.findall(text)
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdigit, text))
    spaces = sum(map(str.isspace, text))
    return {
        "characters": float(length),
        "words": float(len(words)),
        "lines": float(text.count("\n") + 1 if text else 0),
        "sentences": float(len(_SENTENCE.findall(text))),
        "word_length": sum(map(len, words)) / len(words) if words else 0.0,
        "vocabulary": len({word.casefold() for word in words}) / len(words) if words else 0.0,
        "letters": letters / length if length else 0.0,
        "digits": digits / length if length else 0.0,
        "punctuation": max(0, length - letters - digits - spaces) / length if length else 0.0,
        "capitals": sum(map(str.isupper, text)) / letters if letters else 0.0,
        "beyond_ascii": sum(ord(c) > 127 for c in text) / length if length else 0.0,
        "questions": float(text.count("?")),
    }
