"""How hard a secret is to guess: a careful estimate in bits, and what else speaks against it.

The estimate is an upper bound in the manner of zxcvbn (Wheeler, USENIX Security 2016): what is repeated, counted
up or written in words costs a guesser little, every other character as much as its alphabet is large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

WANTED_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""
WANTED_BITS = 128
WORD_BITS = math.log2(7776)
"""One word of a list of 7776, as diceware draws them."""
JOIN_BITS = 1.0
"""What joins two words is mostly the same."""
SHORTEST_REPEAT = 6
SHORTEST_ROW = 6
MAX_CHARS = 1024
"""Only so much of a secret is looked at: it is strong long before."""
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop")
WORD = re.compile(
    r"[A-Z][a-z]{1,15}(?![a-z])|(?<![A-Za-z])[a-z]{2,16}(?![a-z])|(?<![A-Za-z])[A-Z]{2,16}(?![A-Za-z])"
)
VOWELS = frozenset("aeiouyAEIOUY")
MEAN_WORD_CHARS, VOWEL_SHARE = 4.0, 0.3
"""Random letters fall apart into pieces too, but into shorter ones with fewer vowels."""
HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
ALPHABETS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"[0-9]+"), 10),
    (HEX, 16),
    (re.compile(r"[a-z]+|[A-Z]+"), 26),
    (re.compile(r"[a-z0-9]+|[A-Z0-9]+"), 36),
    (re.compile(r"[A-Za-z]+"), 52),
    (re.compile(r"[A-Za-z0-9]+"), 62),
    (re.compile(r"[A-Za-z0-9_=+/-]+"), 64),
    (re.compile(r"[ -~]+"), 95),
)


def bits(secret: str) -> float:
    """Estimated entropy of `secret` in bits; 0 for none."""
    text = secret[:MAX_CHARS]
    if not text:
        return 0.0
    each = math.log2(next((size for pattern, size in ALPHABETS if pattern.fullmatch(text)), 128))
    words = _words(text)
    spent, place = 0.0, 0
    while place < len(text):
        length = words.get(place, 0)
        cost = WORD_BITS if length != 1 else JOIN_BITS
        if (again := _repeat(text, place)) > length:
            length, cost = again, math.log2(place + 1) + math.log2(again)
        if (row := _row(text, place)) > length:
            length, cost = row, math.log2(len(ROWS) * 2 * 26)
        if not length:
            length, cost = 1, each
        spent += min(cost, length * each)
        place += length
    return spent


def bucket(estimate: float) -> str:
    """An estimate in words, coarse enough to be recorded: `under 64 bits`, `128 to 255 bits`."""
    for low, high in ((0, 64), (64, 128), (128, 256)):
        if estimate < high:
            return f"under {high} bits" if not low else f"{low} to {high - 1} bits"
    return "256 bits or more"


def equals_a_name(secret: str, names: Iterable[str]) -> str | None:
    """The first of `names` that `secret` is, apart from case and joins."""
    wanted = _plain(secret)
    return next((name for name in names if name and _plain(name) == wanted), None)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _words(text: str) -> dict[int, int]:
    """Where words and what joins them begin, and how long they are; empty for text that is not mostly made of words."""
    found = list(WORD.finditer(text))
    covered = sum(len(match[0]) for match in found)
    letters = sum(character.isalpha() for character in text)
    if not found or covered < max(0.8 * letters, 0.5 * len(text)) or HEX.fullmatch(text):
        return {}
    pieces = {match.start(): len(match[0]) for match in found}
    joins = [match.end() for match in found if text[match.end() : match.end() + 1] in tuple(" -_.,")]
    vowels = sum(letter in VOWELS for match in found for letter in match[0])
    # Without joins it may be a random mix of upper and lower case.
    if len(joins) < 2 and (vowels < VOWEL_SHARE * covered or covered < MEAN_WORD_CHARS * len(found)):
        return {}
    return pieces | dict.fromkeys(joins, 1)


def _repeat(text: str, place: int) -> int:
    """The length of the longest piece from `place` on that also begins earlier; 0 for less than six characters."""
    if text.find(text[place : place + SHORTEST_REPEAT]) >= place or place + SHORTEST_REPEAT > len(text):
        return 0
    length = SHORTEST_REPEAT
    while place + length < len(text):
        if text.find(text[place : place + length + 1]) >= place:
            break
        length += 1
    return length


def _row(text: str, place: int) -> int:
    """How many characters from `place` on are counted up or down, or lie side by side on a keyboard."""
    lower = text[place : place + 26].lower()
    best = 0
    for row in ROWS:
        for line in (row, row[::-1]):
            length = SHORTEST_ROW
            while length <= len(lower) and lower[:length] in line:
                best = max(best, length)
                length += 1
    return best
