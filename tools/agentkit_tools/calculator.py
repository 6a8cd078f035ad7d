"""A calculator with a small grammar of its own: exact, and never busy for long.

    sum    := operand (infix operand)*      by binding power, see `_INFIX`; ** binds to the right, tighter than a sign
    operand := ("+" | "-") operand | number | name "(" sum ("," sum)* ")" | "(" sum ")", then any number of percents

Every value is a fraction; what has no exact one, such as sqrt(2), or one that is too long, such as 1.00375**360, is
kept to `WORKING_DIGITS` and said to be rounded. How large a power gets is estimated before it is computed: `9**9**9`
is refused in microseconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

from agentkit import ToolError, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CHARS: Final = 1_000
"""Characters of an expression."""
MAX_DEPTH: Final = 50
"""Parentheses, signs and powers inside of each other."""
MAX_DIGITS: Final = 1_000
"""Digits before or after the point, and of an exact numerator or denominator, roughly."""
WORKING_DIGITS: Final = 60
"""Digits to which rounded values are kept."""
SHOWN_DIGITS: Final = 20
"""Digits of a rounded result."""

_MAX_BITS = int(MAX_DIGITS * math.log2(10))
_SETTLED_DIGITS = 40  # far fewer than are kept, so that sqrt(2)**2 is 2 again where it matters
_POWER_DIGITS = WORKING_DIGITS + 10  # exp(2302) loses four of them
_LN_2 = Decimal("0.69314718055994530942")
_NEAR_1 = Decimal("1e-4")
_MAX_ROOT = 1_000
_MOST_OF_ROUNDED = 10 ** (WORKING_DIGITS - _SETTLED_DIGITS)  # a power has that many times the error of its base


@tool(timeout_s=10, effect="pure")
def calculate(expression: str) -> str:
    """Calculate exactly: + - * / // % **, parentheses, percent such as 15%, and functions.

    The functions are abs, ceil, factorial, floor, gcd, lcm, max, mean, min, round(x, digits), sqrt and sum.
    Says so where a result is rounded.

    Args:
        expression: Such as "2**10 / 3", "round(19.99 * 1.25, 2)" or "200 * 15%"; no units, no commas in numbers.
    """
    if len(expression) > MAX_CHARS:
        raise ToolError(f"the expression has {len(expression):,} characters, at most {MAX_CHARS:,} are taken")
    return _text(_Parser(expression).parse())


@dataclass(frozen=True, slots=True)
class _Number:
    """A value, and whether it is exactly that."""

    value: Fraction
    exact: bool = True


class _Wrong(Exception):
    """A calculation that has no result; the parser knows where."""


# --- reading -----------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9][0-9_]*)?\.?[0-9]+(?:\.(?![0-9]))?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|//|[-+*/%(),])"
    r"|(?P<end>$))",
    re.ASCII,
)
_TYPED = str.maketrans({"×": "*", "÷": "/", "−": "-", "·": "*"})  # noqa: RUF001  # that is what they look like
_HINTS = {"^": "a power is **", ",": "write numbers without commas", "!": "write factorial(n)", "=": "no equations"}

_Kind = Literal["number", "name", "sign", "end"]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str
    column: int


_INFIX: dict[str, int] = {"+": 10, "-": 10, "*": 20, "/": 20, "//": 20, "%": 20, "**": 40}
_SIGN_POWER = 30


class _Parser:
    """Reads an expression and calculates as it goes."""

    def __init__(self, text: str) -> None:
        self._text = text.translate(_TYPED)
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0

    def parse(self) -> _Number:
        """Return the value. Raises `ToolError`, which points at the column."""
        result = self._sum(0)
        if self._next.kind != "end":
            raise self._unexpected("an operator")
        return result

    def _split(self) -> Iterator[_Token]:
        at = 0
        while True:
            match = _TOKEN.match(self._text, at)
            if match is None or match.lastgroup is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                hint = _HINTS.get(self._text[at])
                raise self._error(at + 1, f"{self._text[at]!r} is unknown here{f'; {hint}' if hint else ''}")
            kind: _Kind = match.lastgroup  # type: ignore[assignment]  # the names of the groups are the kinds
            yield _Token(kind, match[kind], match.start(kind) + 1)
            if kind == "end":
                return
            at = match.end()

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _sum(self, power: int) -> _Number:
        """Read all that binds at least as tightly as `power`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(self._next.column, f"more than {MAX_DEPTH} levels inside of each other")
        left = self._operand()
        while self._next.kind == "sign" and (binds := _INFIX.get(self._next.text, -1)) >= power:
            token = self._take()
            right = self._sum(binds if token.text == "**" else binds + 1)
            left = self._calculated(token, _OPERATIONS[token.text], left, right)
        self._depth -= 1
        return left

    def _operand(self) -> _Number:
        token = self._take()
        match token.kind, token.text:
            case "number", _:
                value = self._number(token)
            case "name", _:
                value = self._call(token)
            case "sign", "(":
                value = self._sum(0)
                self._expect(")")
            case "sign", "+" | "-":
                value = self._sum(_SIGN_POWER)
                return value if token.text == "+" else _Number(-value.value, value.exact)
            case _:
                self._at -= 1
                raise self._unexpected("a number, a function or '('")
        return self._percents(value)

    def _percents(self, value: _Number) -> _Number:
        """Take each % that no operand follows: 15% is 0.15, and 17 % 5 is a remainder."""
        while self._next.text == "%":
            after = self._tokens[self._at + 1]
            if after.kind in ("number", "name") or after.text == "(":
                break
            if after.text in ("+", "-"):
                raise self._error(
                    self._next.column,
                    f"percent or remainder? Write (x%) {after.text} y, or x % ({after.text}y)",
                )
            value = self._calculated(self._take(), lambda a: _Number(a.value / 100, a.exact), value)
        return value

    def _number(self, token: _Token) -> _Number:
        digits, _, exponent = token.text.lower().partition("e")
        if len(digits) > MAX_DIGITS or len(exponent.lstrip("+-0")) > 4 or abs(int(exponent or 0)) > MAX_DIGITS:
            raise self._error(token.column, f"a number with more than {MAX_DIGITS:,} digits")
        return _Number(Fraction(token.text.replace("_", "").removesuffix(".")))

    def _call(self, token: _Token) -> _Number:
        function, most = _FUNCTIONS.get(token.text.lower(), (None, 0))
        if function is None:
            raise self._error(token.column, f"{token.text!r} is no function. There are {', '.join(_FUNCTIONS)}")
        self._expect("(")
        values = [self._sum(0)]
        while self._next.text == ",":
            self._take()
            values.append(self._sum(0))
        self._expect(")")
        if len(values) > most:
            raise self._error(token.column, f"{token.text} takes at most {most} value{'s' if most > 1 else ''}")
        return self._calculated(token, function, *values)

    def _expect(self, text: str) -> None:
        if self._next.text != text:
            raise self._unexpected(repr(text))
        self._take()

    def _calculated(self, token: _Token, function: Callable[..., _Number], *values: _Number) -> _Number:
        try:
            return _limited(function(*values))
        except _Wrong as exc:
            raise self._error(token.column, str(exc)) from None

    def _unexpected(self, wanted: str) -> ToolError:
        token = self._next
        found = repr(token.text) if token.text else "the end"
        hint = f"; {_HINTS[token.text]}" if token.text in _HINTS else ""
        return self._error(token.column, f"expected {wanted}, found {found}{hint}")

    def _error(self, column: int, text: str) -> ToolError:
        start = max(column - 31, 0)
        line = "".join(char if char.isprintable() else " " for char in self._text[start : start + 60])
        return ToolError(f"column {column}: {text}\n  {line}\n  {' ' * (column - 1 - start)}^")


# --- calculating -------------------------------------------------------------------------------------------


def _too_large(bits: int) -> _Wrong:
    digits = bits * 30103 // 100000
    about = f"about {digits:,} digits" if digits < 10**9 else "more than a billion digits"
    return _Wrong(f"the result would have {about}, at most {MAX_DIGITS:,} are calculated with")


def _limited(number: _Number) -> _Number:
    """Refuse what got too large or too small, and keep rounded values, and exact ones that are too long, short."""
    over, under = number.value.numerator.bit_length(), number.value.denominator.bit_length()
    if abs(over - under + 1) > _MAX_BITS:
        raise _too_large(abs(over - under + 1))
    if number.exact and max(over, under) <= _MAX_BITS:
        return number
    return _Number(_rounded(number.value, WORKING_DIGITS), exact=False)


def _decimal(value: Fraction, digits: int) -> Decimal:
    return Context(prec=digits).divide(Decimal(value.numerator), Decimal(value.denominator))


def _rounded(value: Fraction, digits: int) -> Fraction:
    return Fraction(_decimal(value, digits))


def _settled(number: _Number) -> Fraction:
    """Return a value fit for a step, such as floor: noise in the last digits must not decide."""
    return number.value if number.exact else _rounded(number.value, _SETTLED_DIGITS)


def _add(left: _Number, right: _Number) -> _Number:
    exact = left.exact and right.exact
    value = left.value + right.value
    if not exact and abs(value) * 10**_SETTLED_DIGITS < abs(left.value):
        value = Fraction(0)  # nothing but noise is left
    return _Number(value, exact)


def _subtract(left: _Number, right: _Number) -> _Number:
    return _add(left, _Number(-right.value, right.exact))


def _multiply(left: _Number, right: _Number) -> _Number:
    return _Number(left.value * right.value, left.exact and right.exact)


def _divide(left: _Number, right: _Number) -> _Number:
    return _Number(left.value / _divisor(right), left.exact and right.exact)


def _floor_divide(left: _Number, right: _Number) -> _Number:
    quotient = _Number(left.value / _divisor(right), left.exact and right.exact)
    return _Number(Fraction(math.floor(_settled(quotient))), quotient.exact)


def _remainder(left: _Number, right: _Number) -> _Number:
    quotient = _floor_divide(left, right)
    if not quotient.exact and abs(quotient.value) >= 10**_SETTLED_DIGITS:
        raise _Wrong("a remainder of a rounded number this large would be nothing but noise")
    return _subtract(left, _multiply(quotient, right))


def _divisor(number: _Number) -> Fraction:
    if number.value == 0:
        raise _Wrong("division by zero")
    return number.value


def _power(base: _Number, exponent: _Number) -> _Number:
    exact = base.exact and exponent.exact
    if base.value == 0 and exponent.value < 0:
        raise _Wrong("division by zero: a negative power of 0")
    if base.value < 0 and exponent.value.denominator != 1:
        raise _Wrong("a root of a negative number is not a real number")
    if base.value == 1 or exponent.value == 0:
        return _Number(Fraction(1), exact)
    if base.value == 0:
        return base
    power = _exact_power(base.value, exponent.value) if exact else None
    return _Number(power) if power is not None else _rounded_power(base, exponent.value)


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """Return the fraction that a power is, where there is one that is not too long."""
    longest = max(abs(base.numerator), base.denominator)
    if longest > 1 and abs(exponent) * Fraction(math.log2(longest)) > _MAX_BITS:  # -1 only changes its sign
        return None
    if exponent.denominator == 1:
        return base ** int(exponent)
    if exponent.denominator > _MAX_ROOT:
        return None
    over = _exact_root(base.numerator, exponent.denominator)
    under = _exact_root(base.denominator, exponent.denominator) if over else None
    return Fraction(over, under) ** exponent.numerator if over and under else None


def _rounded_power(base: _Number, exponent: Fraction) -> _Number:
    """Return a power by its logarithm, by which what is too large is refused first."""
    if not base.exact and abs(exponent) > _MOST_OF_ROUNDED:
        raise _Wrong("the base is rounded: such a power of it would be nothing but noise")
    context = Context(prec=_POWER_DIGITS)
    logarithm = context.multiply(_logarithm(abs(base.value)), _decimal(exponent, _POWER_DIGITS))
    bits = int(abs(context.divide(logarithm, _LN_2)))
    if bits > _MAX_BITS:
        raise _too_large(bits)
    power = Fraction(context.exp(logarithm))
    return _Number(-power if base.value < 0 and exponent % 2 else power, exact=False)


def _logarithm(value: Fraction) -> Decimal:
    """Return the natural logarithm; near 1 as a series, because the first digits of a decimal would be all zeros.

    `Decimal.ln` with as many more digits takes 90 ms for 1+1e-990 (Python 3.11).
    """
    over, under = value.numerator, value.denominator
    context = Context(prec=_POWER_DIGITS)
    # ln(a/b) = 2 artanh(x) = 2 (x + x**3/3 + x**5/5 + ...) with x = (a-b)/(a+b)
    x = _decimal(Fraction(over - under, over + under), _POWER_DIGITS)
    if abs(x) > _NEAR_1:
        return context.ln(_decimal(value, _POWER_DIGITS))
    square = context.multiply(x, x)
    series = Decimal(0)
    for term in reversed(range(_POWER_DIGITS // 8 + 1)):  # each adds 8 digits, or more
        series = context.fma(series, square, context.divide(Decimal(1), Decimal(2 * term + 1)))
    return context.multiply(context.multiply(series, x), Decimal(2))


def _exact_root(value: int, degree: int) -> int | None:
    """Return the whole number whose power `value` is, above 0, where there is one."""
    root = math.isqrt(value) if degree == 2 else _floor_root(value, degree)
    return root if root**degree == value else None


def _floor_root(value: int, degree: int) -> int:
    """Return the root rounded down, by Newton's method, whose steps double the 30 digits it begins with."""
    bits = math.log2(value) / degree
    shift = max(int(bits) - 30, 0)
    root = int(2 ** (bits - shift)) + 2 << shift  # from above, where each step goes down until it is there
    while (lower := ((degree - 1) * root + value // root ** (degree - 1)) // degree) < root:
        root = lower
    return root


_OPERATIONS: dict[str, Callable[[_Number, _Number], _Number]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "//": _floor_divide,
    "%": _remainder,
    "**": _power,
}


# --- functions ---------------------------------------------------------------------------------------------


def _whole(number: _Number, name: str) -> int:
    if number.value.denominator != 1:
        raise _Wrong(f"{name} takes whole numbers")
    if not number.exact and abs(number.value) >= 10**_SETTLED_DIGITS:
        raise _Wrong(f"{name} takes whole numbers, and this one is rounded")
    return int(number.value)


def _sqrt(number: _Number) -> _Number:
    return _power(number, _Number(Fraction(1, 2)))


def _round(number: _Number, digits: _Number = _Number(Fraction(0))) -> _Number:
    places = _whole(digits, "the second value of round")
    if abs(places) > MAX_DIGITS:
        raise _Wrong(f"round takes at most {MAX_DIGITS:,} digits")
    scaled = _settled(number) * Fraction(10) ** places
    halves = math.floor(abs(scaled) + Fraction(1, 2))  # half goes away from zero, as in school
    return _Number(Fraction(halves if scaled >= 0 else -halves) / Fraction(10) ** places, number.exact)


def _factorial(number: _Number) -> _Number:
    count = _whole(number, "factorial")
    if count < 0:
        raise _Wrong("factorial takes no negative number")
    if count > 1:
        bits = int(math.lgamma(count + 1) / math.log(2)) if count < 10**15 else count * 40
        if bits > _MAX_BITS:
            raise _too_large(bits)
    return _Number(Fraction(math.factorial(count)))


def _total(*numbers: _Number) -> _Number:
    total = numbers[0]
    for number in numbers[1:]:
        total = _limited(_add(total, number))
    return total


def _lcm(*numbers: _Number) -> _Number:
    total = 1
    for number in numbers:
        total = math.lcm(total, _whole(number, "lcm"))
        _limited(_Number(Fraction(total)))
    return _Number(Fraction(total))


_FUNCTIONS: dict[str, tuple[Callable[..., _Number], int]] = {
    "abs": (lambda x: _Number(abs(x.value), x.exact), 1),
    "ceil": (lambda x: _Number(Fraction(math.ceil(_settled(x))), x.exact), 1),
    "factorial": (_factorial, 1),
    "floor": (lambda x: _Number(Fraction(math.floor(_settled(x))), x.exact), 1),
    "gcd": (lambda *numbers: _Number(Fraction(math.gcd(*(_whole(x, "gcd") for x in numbers)))), MAX_CHARS),
    "lcm": (_lcm, MAX_CHARS),
    "max": (lambda *numbers: max(numbers, key=lambda x: x.value), MAX_CHARS),
    "mean": (lambda *numbers: _divide(_total(*numbers), _Number(Fraction(len(numbers)))), MAX_CHARS),
    "min": (lambda *numbers: min(numbers, key=lambda x: x.value), MAX_CHARS),
    "round": (_round, 2),
    "sqrt": (_sqrt, 1),
    "sum": (_total, MAX_CHARS),
}
"""The functions, and how many values each takes at most; one is the least."""


# --- showing -----------------------------------------------------------------------------------------------


def _text(number: _Number) -> str:
    value = number.value
    if not number.exact:
        return f"{_plain(_decimal(value, SHOWN_DIGITS))} (rounded)"
    if value.denominator == 1:
        return str(value.numerator)
    exact = _finite_decimal(value)
    if exact is not None:
        return exact
    rounded = _decimal(value, SHOWN_DIGITS)
    if Fraction(rounded) == value:
        return _plain(rounded)
    fraction = f"{value.numerator}/{value.denominator}"
    told = f"exactly {fraction}" if len(fraction) <= 60 else "exactly a fraction too long to show"
    return f"{_plain(rounded)} (rounded, {told})"


def _finite_decimal(value: Fraction) -> str | None:
    """Return a fraction as the decimal that it is, where it has an end in sight."""
    rest = value.denominator
    places = 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1 or places > 60:
        return None
    scaled = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{scaled[:-places]}.{scaled[-places:]}"


def _plain(value: Decimal) -> str:
    """Return a decimal without an exponent where that is short."""
    value = value.normalize(Context(prec=SHOWN_DIGITS))
    if value.is_zero() or -10 < value.adjusted() < 30:
        return f"{value:f}"
    return f"{value:E}".replace("E+", "E").replace("E", "e")
