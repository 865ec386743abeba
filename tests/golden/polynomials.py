#!/usr/bin/env python3
"""Prints runtime/kernel/polynomials.h: near-minimax fits, in relative error, computed with mpmath
at 45 digits (linearised least squares at Chebyshev nodes, reweighted as Lawson does).  The largest
error of each fit stands above it; 2^-53 is 1.1e-16 and 2^-24 is 6.0e-8."""
from mpmath import *

mp.dps = 45


def nodes(a, b, n):
    return [(a + b) / 2 + (b - a) / 2 * cos(pi * (2 * k + 1) / (2 * n)) for k in range(n)]


def fit(f, a, b, m, n, rounds=6):
    """p(x) / q(x) near f on [a, b], degrees m and n, q(0) = 1; and its largest relative error."""
    a, b = mpf(a), mpf(b)
    count = max(3 * (m + n + 2), 30)
    xs = nodes(a, b, count)
    fs = [f(x) for x in xs]
    below, weight = [mpf(1)] * count, [mpf(1)] * count
    for turn in range(rounds):
        A, B = matrix(count, m + n + 1), matrix(count, 1)
        for i, (x, y) in enumerate(zip(xs, fs)):
            w = sqrt(weight[i]) / (y * below[i])
            for j in range(m + 1):
                A[i, j] = w * x ** j
            for j in range(n):
                A[i, m + 1 + j] = -w * y * x ** (j + 1)
            B[i] = w * y
        s = qr_solve(A, B)[0]
        p, q = [s[j] for j in range(m + 1)], [mpf(1)] + [s[m + 1 + j] for j in range(n)]
        below = [polyval(q[::-1], x) for x in xs]
        error = [abs(polyval(p[::-1], x) / d / y - 1) for x, y, d in zip(xs, fs, below)]
        if turn >= 2:
            mean = sum(w * e for w, e in zip(weight, error)) / sum(weight)
            weight = [w * (e / mean * mpf("0.7") + mpf("0.3")) for w, e in zip(weight, error)]
    between = [a + (b - a) * mpf(k) / 397 for k in range(1, 397)]
    return p, q, max(abs(polyval(p[::-1], x) / polyval(q[::-1], x) / f(x) - 1) for x in between)


def show(name, c, single):
    print("static const peri_real %s[] = {" % name)
    text = ["%s%s" % (nstr(v, 10 if single else 20), "f" if single else "") for v in c]
    text = [t if "." in t or "e" in t else t.replace("f", "") + (".0f" if single else ".0")
            for t in text]
    line = " "
    for i, t in enumerate(text):
        t += "," if i + 1 < len(text) else "};"
        if len(line) + len(t) > 98:
            print(line)
            line = " "
        line += " " + t
    print(line)


def bell(y):
    return exp(y * y / 2) * erfc(y / sqrt(mpf(2))) / 2


def mills(t):
    y = 3 * (1 + t) / (1 - t)
    return (2 + sqrt(2 * pi) * y) * bell(y)


def central(s):
    r = mpf("0.425") ** 2 - s
    return sqrt(mpf(2)) * erfinv(2 * sqrt(r)) / sqrt(r) if r > 0 else sqrt(2 * pi)


def tail(r):
    """x with Phi(-x) = exp(-r^2), by Newton's method on the logarithm."""
    x = sqrt(2 * r * r - log(4 * pi * r * r)) if r > 1.8 else mpf(1.2)
    for _ in range(60):
        log_cdf = log(bell(x)) - x * x / 2
        d = (log_cdf + r * r) * bell(x) * sqrt(2 * pi)
        x += d
        if abs(d) < mpf(10) ** -38:
            break
    return x


ROOT = findroot(digamma, mpf("1.46"))


def near_root(t):
    d = t + 1 - ROOT
    return digamma(t + 1) / d if abs(d) > 1e-30 else zeta(2, ROOT)


def far_bessel(order, u):
    return besseli(order, 1 / u) * exp(-1 / u) / sqrt(u)


def log1p_rest(f):
    return ((log1p(f) - f) / f ** 2 + mpf(1) / 2) / f if abs(f) > 1e-7 else mpf(1) / 3 - f / 4


def erf_rest(s):
    return (erf(sqrt(s)) / sqrt(s) - 2 / sqrt(pi)) / s if s > 1e-12 else -2 / sqrt(pi) / 3


HALF = log(mpf(2)) / 2 * mpf("1.01")

FITS = [  # name, what, function, low, high, degrees in double, degrees in float
    ("MILLS", "(2 + sqrt(2 pi) y) e^(y^2/2) Phi(-y), y = 3 (1 + t) / (1 - t)",
     mills, -1, "0.99999999", (24, 0), (11, 0)),
    ("CENTRAL", "ndtri(1/2 + q) / q by 0.425^2 - q^2, |q| <= 0.425",
     central, 0, mpf("0.425") ** 2, (7, 7), (4, 4)),
    ("TAIL", "-ndtri(e^-r^2) by r - 1.6",
     lambda t: tail(t + mpf("1.6")), 0, "3.4", (7, 7), None),
    ("TAIL", "-ndtri(e^-r^2) by r - 1.6",
     lambda t: tail(t + mpf("1.6")), 0, "9.4", None, (4, 4)),
    ("FAR", "-ndtri(e^-r^2) by r - 5", lambda t: tail(t + 5), 0, "22.5", (7, 7), None),
    ("ROOT", "digamma(x) / (x - root) by x - 1, 1 <= x <= 3", near_root, 0, 2, (6, 6), (3, 3)),
    ("HIGH", "x (digamma(x) - log x) by 1/x, x >= 3",
     lambda u: (digamma(1 / u) - log(1 / u)) / u, mpf(10) ** -9, mpf(1) / 3, (6, 6), (3, 3)),
    ("I0", "(I0(x) - 1) / a by a = x^2/4, x <= 10",
     lambda a: (besseli(0, 2 * sqrt(a)) - 1) / a if a else mpf(1), 0, 25, (17, 0), (10, 0)),
    ("I1", "2 I1(x) / x by a = x^2/4, x <= 10",
     lambda a: besseli(1, 2 * sqrt(a)) / sqrt(a) if a else mpf(1), 0, 25, (17, 0), (10, 0)),
    ("I0_FAR", "sqrt(x) e^-x I0(x) by 20/x - 1, x >= 10",
     lambda t: far_bessel(0, (t + 1) / 20), "-0.996", 1, (18, 0), (7, 0)),
    ("I1_FAR", "sqrt(x) e^-x I1(x) by 20/x - 1, x >= 10",
     lambda t: far_bessel(1, (t + 1) / 20), "-0.996", 1, (18, 0), (7, 0)),
    ("EXP", "(e^r - 1 - r) / r^2, |r| <= log(2) / 2",
     lambda r: (exp(r) - 1 - r) / r ** 2 if abs(r) > 1e-8 else mpf(1) / 2, -HALF, HALF,
     None, (5, 0)),
    ("LOG", "(log(1 + f) - f + f^2/2) / f^3, sqrt(1/2) <= 1 + f <= sqrt(2)",
     log1p_rest, sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1, None, (8, 0)),
    ("TANH", "(tanh(x) - x) / x^3 by x^2, |x| <= 0.625",
     lambda s: (tanh(sqrt(s)) / sqrt(s) - 1) / s if s > 1e-12 else -mpf(1) / 3,
     0, mpf("0.63") ** 2, None, (5, 0)),
    ("ERF", "(erf(x) - 2 x / sqrt(pi)) / x^3 by x^2, |x| <= 0.92", erf_rest, 0, mpf("0.93") ** 2,
     None, (5, 0)),
    ("LOG_ERFC", "log(1 - erf(x)), 0.92 <= x <= 4", lambda x: log(erfc(x)), "0.92", 4,
     None, (7, 0)),
]

print("""/* Coefficients of the special functions, from the constant up: P of the numerator, Q of the
   denominator.  Printed by tests/golden/polynomials.py, which says what was fitted and how. */
#ifndef PERI_POLYNOMIALS_H
#define PERI_POLYNOMIALS_H

#include "perigee/tensor.h"

/* The positive root of digamma, in two parts. */""")
high = mpf(int(ROOT * 2 ** 20)) / 2 ** 20
print("#define DIGAMMA_ROOT %s" % nstr(high, 25))
print("#define DIGAMMA_ROOT_REST %s" % nstr(ROOT - high, 20))
for single in (False, True):
    print("\n#ifdef PERI_DOUBLE" if not single else "\n#else")
    for name, what, f, low, up, *degrees in FITS:
        if not degrees[single]:
            continue
        m, n = degrees[single]
        p, q, error = fit(f, low, up, m, n, 6 if n else 4)
        print("\n/* %s: %s */" % (what, nstr(error, 2)))
        show(name + "_P" if n else name, p, single)
        if n:
            show(name + "_Q", q, single)
print("\n#endif\n\n#endif")
