"""Writes dist.tsv: log-probabilities, cumulative probabilities, quantiles, moments and entropies of
the families of lua/perigee/dist from SciPy, for tests/lua/test_dist_golden.lua.

    python tests/golden/dist.py > tests/golden/dist.tsv

A line is: family, parameters, quantity, x, value, set apart by tabs; parameters by ";", entries of a
vector by blanks, rows of a matrix by "/".  Inputs are float32 numbers.
"""

import sys

import numpy as np
import scipy
from scipy import special, stats

INF = np.inf


def text(v):
    v = np.asarray(v, dtype=np.float64)
    if v.ndim == 0:
        return repr(float(v))
    if v.ndim == 1:
        return " ".join(text(w) for w in v)
    return "/".join(text(w) for w in v)


def single(v):
    return np.asarray(v, dtype=np.float32).astype(np.float64)


def line(family, parameters, quantity, x, value):
    print("\t".join([family, ";".join(text(p) for p in parameters), quantity,
                     "" if x is None else text(x), text(value)]))


def continuous(family, parameters, d, xs, moments=True, quantiles=True, cdf=True, entropy=True):
    for x in single(xs):
        line(family, parameters, "log_prob", x, d.logpdf(x))
        if cdf:
            line(family, parameters, "cdf", x, d.cdf(x))
    if quantiles:
        for p in single([1e-4, 0.125, 0.5, 0.875, 0.999]):
            line(family, parameters, "icdf", p, d.ppf(p))
    if moments:
        line(family, parameters, "mean", None, d.mean())
        line(family, parameters, "variance", None, d.var())
    if entropy and not np.isnan(d.entropy()):
        line(family, parameters, "entropy", None, d.entropy())


def discrete(family, parameters, d, xs, cdf=False, entropy=True):
    for x in single(xs):
        line(family, parameters, "log_prob", x, d.logpmf(x))
        if cdf:
            line(family, parameters, "cdf", x, d.cdf(x))
    line(family, parameters, "mean", None, d.mean())
    line(family, parameters, "variance", None, d.var())
    if entropy:
        line(family, parameters, "entropy", None, d.entropy())


def main():
    print("# SciPy %s" % scipy.__version__)
    wide = [-90, -6, -1, -0.25, 0, 0.5, 1.5, 3, 40]
    above = [-1, 0, 1e-6, 0.125, 1, 2.5, 20, 300]
    unit = [-0.5, 1e-6, 0.125, 0.5, 0.75, 0.9999, 1.5]
    for loc, scale in [(0, 1), (-1.5, 0.25), (3, 8)]:
        p = [loc, scale]
        continuous("normal", p, stats.norm(loc, scale), wide)
        continuous("laplace", p, stats.laplace(loc, scale), wide)
        continuous("logistic", p, stats.logistic(loc, scale), wide)
        continuous("gumbel", p, stats.gumbel_r(loc, scale), [x for x in wide if x > -2 * scale])
        continuous("cauchy", p, stats.cauchy(loc, scale), wide, moments=False)
        continuous("uniform", [loc, loc + scale], stats.uniform(loc, scale), wide)
        s = min(scale, 2)
        continuous("log_normal", [loc, s], stats.lognorm(s, scale=np.exp(loc)), above)
        continuous("half_normal", [scale], stats.halfnorm(scale=scale), above)
        continuous("exponential", [scale], stats.expon(scale=1 / scale), above)
    for loc, scale, low, high in [(0, 1, -1, 2), (1, 2, 5, 9), (0.5, 0.5, -3, -1), (0, 1, -INF, 0.5),
                                  (2, 4, 0, INF), (0, 1, 6, 7)]:
        d = stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
        inside = [low + 0.25, (low + high) / 2, high - 0.25] if high - low < INF else [0.25, 0.4375]
        continuous("truncated_normal", [loc, scale, low, high], d, inside)
    for df in [0.5, 1.5, 3, 12, 100]:
        continuous("student_t", [df, 0.5, 2], stats.t(df, 0.5, 2), wide, cdf=False, quantiles=False,
                   moments=df > 2)
    for kappa in [0, 0.125, 1, 20, 500]:
        d = stats.vonmises(kappa, 0.5) if kappa else stats.uniform(-np.pi, 2 * np.pi)
        continuous("von_mises", [0.5, kappa], d, [-3, -0.25, 0.5, 1, 2.5], cdf=False,
                   quantiles=False, moments=False)
    for a, rate in [(0.125, 2), (1, 0.5), (3.5, 4), (80, 2), (1000, 10)]:
        continuous("gamma", [a, rate], stats.gamma(a, scale=1 / rate), [-1, 1e-6, 0.125, 1, 40, 100],
                   cdf=False, quantiles=False)
    for a, b in [(0.5, 0.5), (1, 1), (2, 5), (30, 0.75), (200, 300)]:
        continuous("beta", [a, b], stats.beta(a, b), unit, cdf=False, quantiles=False)
    for l in [-20, -0.75, -0.25, -0.001, 0.0625, 4]:
        p = [single(l)]
        f = stats.truncexpon(abs(p[0]), scale=1 / abs(p[0]))
        for x in single(unit):
            line("continuous_bernoulli", p, "log_prob", x, f.logpdf(x if l < 0 else 1 - x))
            line("continuous_bernoulli", p, "cdf", x, f.cdf(x) if l < 0 else f.sf(1 - x))
        line("continuous_bernoulli", p, "mean", None, f.mean() if l < 0 else 1 - f.mean())
        if abs(l) > 0.05:           # SciPy's own variance and entropy cancel nearer to 0
            line("continuous_bernoulli", p, "variance", None, f.var())
            line("continuous_bernoulli", p, "entropy", None, f.entropy())
    for rate in [0.125, 1, 7.5, 40, 900]:
        discrete("poisson", [rate], stats.poisson(rate), [-1, 0, 1, 5, 40, 1000], entropy=False)
    for l in [-3, 0, 0.5, 4]:
        p = special.expit(l)
        discrete("bernoulli", [[l]], stats.bernoulli(p), [0, 1])
        discrete("geometric", [l], stats.geom(p, -1), [-1, 0, 1, 5, 40], cdf=True)
        for n in [0, 1, 10, 200]:
            discrete("binomial", [n, l], stats.binom(n, p), [-1, 0, 1, 7, 10, 150, 201])
    logits = np.array([0.5, -1, 2, 0, -8])
    p = special.softmax(logits)
    for k in range(5):
        line("categorical", [logits], "log_prob", k + 1, np.log(p[k]))
    line("categorical", [logits], "entropy", None, stats.entropy(p))
    for x in [[1, 0, 5, 2, 0], [0, 0, 8, 0, 0], [8, 0, 0, 0, 0], [2, 2, 2, 1, 1], [1, 1, 1, 1, 1]]:
        line("multinomial", [8, logits], "log_prob", x, stats.multinomial(8, p).logpmf(x))
    for a in [[1, 1, 1], [0.5, 3, 8], [100, 20, 0.125]]:
        d = stats.dirichlet(a)
        for x in [[0.25, 0.25, 0.5], [0.0625, 0.9375 - 0.125, 0.125], [0.875, 0.0625, 0.0625]]:
            line("dirichlet", [a], "log_prob", x, d.logpdf(x))
        line("dirichlet", [a], "mean", None, d.mean())
        line("dirichlet", [a], "variance", None, d.var())
        line("dirichlet", [a], "entropy", None, d.entropy())
    tril = np.array([[1, 0, 0], [0.5, 0.75, 0], [-0.25, 2, 1.5]])
    loc = np.array([0.5, 0, -1])
    d = stats.multivariate_normal(loc, tril @ tril.T)
    for x in [[0, 0, 0], [0.5, 0, -1], [3, -2, 5], [-20, 1, 1]]:
        line("multivariate_normal", [loc, tril], "log_prob", x, d.logpdf(x))
    line("multivariate_normal", [loc, tril], "entropy", None, d.entropy())
    factor, s = np.array([[1, 0.5], [-0.25, 2], [0, 1]]), np.array([0.5, 1, 0.25])
    d = stats.multivariate_normal(loc, factor @ factor.T + np.diag(s * s))
    for x in [[0, 0, 0], [0.5, 0, -1], [3, -2, 5]]:
        line("low_rank_normal", [loc, factor, s], "log_prob", x, d.logpdf(x))
    line("low_rank_normal", [loc, factor, s], "entropy", None, d.entropy())
    for loc, log_scale in [(0, -1), (0.25, -4), (-0.875, 0.5)]:
        d = stats.logistic(loc, np.exp(log_scale))
        for k in [0, 1, 100, 128, 160, 254, 255]:
            low, high = (2 * k - 1) / 255 - 1, (2 * k + 1) / 255 - 1
            # by the tail that is small
            mass = d.cdf(high) - d.cdf(low) if high < loc else d.sf(low) - d.sf(high)
            mass = d.cdf(high) if k == 0 else d.sf(low) if k == 255 else mass
            line("discretized_logistic", [loc, log_scale], "log_prob", k, np.log(mass))


if __name__ == "__main__":
    sys.exit(main())
