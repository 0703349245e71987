"""N. J. Gunther's Universal Scalability Law, fitted to measured steps; pure, by linear least squares.

X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1)): alpha is what waits for one another, beta what has to agree with one
another (Guerrilla Capacity Planning, Springer 2007, chapters 4 to 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

from checks.load.model import CapacityStep, Scalability

LEAST_POINTS = 4
LEAST, MOST = 1e-6, 1e9
"""Concurrencies and throughputs beyond are nothing that was measured."""


def fit(steps: Iterable[CapacityStep]) -> Scalability | None:
    """The law of a capacity search; None for fewer than four steps at different concurrencies."""
    return fitted(
        [
            (step.in_flight, step.achieved_per_s)
            for step in steps
            if step.in_flight and step.broke not in ("generator", "limiter", "unclear")
        ]
    )


def fitted(points: Sequence[tuple[float, float]]) -> Scalability | None:
    """The law of (concurrency, throughput per second) pairs; None for fewer than four useful ones.

    N / X = a + b (N-1) + c N (N-1) is linear in a = 1/gamma, b = alpha/gamma and c = beta/gamma. Residuals are
    relative, and of the solutions with b and c not negative the best is taken.
    """
    useful = [(n, x) for n, x in points if LEAST < n < MOST and LEAST < x < MOST]
    if len({round(n, 6) for n, _ in useful}) < LEAST_POINTS:
        return None
    found: list[tuple[float, Scalability]] = []
    for size in range(3):
        for kept in combinations((1, 2), size):
            law = _solved(useful, (0, *kept))
            if law is not None:
                found.append(law)
    return min(found, key=lambda one: one[0])[1] if found else None


def throughput(law: Scalability, n: float) -> float:
    """What the law gives at concurrency `n`, per second."""
    return law.gamma * n / (1 + law.alpha * (n - 1) + law.beta * n * (n - 1))


def _solved(
    points: Sequence[tuple[float, float]], columns: Sequence[int]
) -> tuple[float, Scalability] | None:
    """The squared relative error and the law with these terms alone; None where that is no law."""
    # Each row is divided by N / X, so that every point counts alike.
    rows = [tuple((1.0, n - 1, n * (n - 1))[column] * x / n for column in columns) for n, x in points]
    scales = [math.sqrt(sum(row[at] ** 2 for row in rows)) or 1.0 for at in range(len(columns))]
    scaled = [[value / scale for value, scale in zip(row, scales, strict=True)] for row in rows]
    solution = _least_squares(scaled, [1.0] * len(rows))
    if solution is None:
        return None
    terms = [0.0, 0.0, 0.0]
    for column, value, scale in zip(columns, solution, scales, strict=True):
        terms[column] = value / scale
    a, b, c = terms
    if a <= 0 or b < 0 or c < 0:
        return None
    gamma, alpha, beta = 1 / a, b / a, c / a
    if any(1 + alpha * (n - 1) + beta * n * (n - 1) <= 0 for n, _ in points):
        return None
    peak = math.sqrt((1 - alpha) / beta) if beta > 1e-12 and alpha < 1 else None
    law = Scalability(gamma, alpha, beta, 0.0, peak)
    squares = sum((throughput(law, n) / x - 1) ** 2 for n, x in points)
    error = 100 * math.sqrt(squares / len(points))
    return squares, Scalability(gamma, alpha, beta, error, peak)


def _least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float] | None:
    """By the normal equations, with the rows' columns scaled to length 1; None where they depend on each other."""
    size = len(rows[0])
    table = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * value for row, value in zip(rows, values, strict=True))]
        for i in range(size)
    ]
    for pivot in range(size):
        best = max(range(pivot, size), key=lambda row: abs(table[row][pivot]))
        if abs(table[best][pivot]) < 1e-12:
            return None
        table[pivot], table[best] = table[best], table[pivot]
        for row in range(size):
            if row != pivot:
                factor = table[row][pivot] / table[pivot][pivot]
                table[row] = [
                    one - factor * other for one, other in zip(table[row], table[pivot], strict=True)
                ]
    return [table[row][size] / table[row][row] for row in range(size)]
