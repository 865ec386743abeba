"""Special functions over their ranges and into their tails, from SciPy, and from mpmath at 40
digits where SciPy's doubles cancel."""
import mpmath
import numpy as np
import scipy.special as sp
import torch

from oracle import INF, NAN, Draw, case, constant, elementwise, real

mpmath.mp.dps = 40


def exactly(f):
    """A function of mpmath on arrays."""
    return lambda x: np.array([float(f(mpmath.mpf(float(v)))) for v in np.ravel(x)]).reshape(
        np.shape(x))


def phi(x):
    return mpmath.npdf(x)


def cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def hazard(x):
    return phi(x) / cdf(x)


def log_cdf(x):
    return mpmath.log(cdf(x))


def hazard_slope(x):
    return -hazard(x) * (x + hazard(x))


def scaled_bessel(order):
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))


def i0e_slope(x):
    return scaled_bessel(1)(x) - mpmath.sign(x) * scaled_bessel(0)(x)


def i1e_slope(x):
    return scaled_bessel(0)(x) - scaled_bessel(1)(x) * (mpmath.sign(x) + 1 / x)


def ratio(x):
    """I1 / I0: the derivative of log I0."""
    return scaled_bessel(1)(x) / scaled_bessel(0)(x)


LINE = [-9.5, -4.25, -1.5, -0.515625, -0.015625, 0.015625, 0.75, 2.25, 5.5]
TAIL = [-1e4, -300.5, -37.5, -13.25, -6.0]
GAMMA = [0.0009765625, 0.0625, 0.5, 1.25, 1.75, 2.5, 6.0, 12.75, 100.5, 1e4]
UNIT = [0.0009765625, 0.015625, 0.109375, 0.484375, 0.515625, 0.890625, 0.984375, 0.9990234375]
BESSEL = [-300.5, -20.25, -3.5, -0.25, 0.0078125, 0.75, 3.875, 7.5, 8.25, 40.5, 1e4]
SMALL = [-0.9990234375, -0.984375, -0.75, -0.25, -0.0009765625, 0.015625, 0.5, 0.875, 0.96875]

# op, value, derivative, points, note
ROWS = [
    ("ndtr", sp.ndtr, exactly(phi), LINE, "over its range"),
    ("ndtr", exactly(cdf), exactly(phi), [-12.75, -9.0, -6.5], "left tail"),
    ("log_ndtr", exactly(log_cdf), exactly(hazard), LINE, "over its range"),
    ("log_ndtr", exactly(log_cdf), exactly(hazard), TAIL, "left tail"),
    ("ndtr_hazard", exactly(hazard), exactly(hazard_slope), LINE, "over its range"),
    ("ndtri", sp.ndtri, exactly(lambda x: 1 / phi(mpmath.mpf(float(sp.ndtri(float(x)))))), UNIT,
     "over its range"),
    ("ndtri", sp.ndtri, None, [1e-30, 1e-12, 1e-5], "left tail"),
    ("erfinv", sp.erfinv, exactly(lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(
        mpmath.erfinv(x) ** 2)), SMALL, "over its range"),
    ("lgamma", exactly(mpmath.loggamma), sp.psi, GAMMA, "over its range"),
    ("lgamma", sp.gammaln, sp.psi, [-0.5, -1.25, -2.75, -10.5], "negative"),
    ("digamma", sp.psi, exactly(lambda x: mpmath.psi(1, x)), GAMMA, "over its range"),
    ("digamma", exactly(mpmath.digamma), exactly(lambda x: mpmath.psi(1, x)),
     [-0.5, -1.25, -2.75, -10.5], "negative"),
    ("i0e", sp.i0e, exactly(i0e_slope), BESSEL, "over its range"),
    ("i1e", sp.i1e, exactly(i1e_slope), BESSEL, "over its range"),
    ("log_i0", exactly(lambda x: mpmath.log(mpmath.besseli(0, x))), exactly(ratio), BESSEL,
     "over its range"),
    ("log1mexp", exactly(lambda x: mpmath.log(-mpmath.expm1(x))),
     exactly(lambda x: -1 / mpmath.expm1(-x)), [-60.5, -9.5, -0.75, -0.6875, -0.015625, -1e-6],
     "over its range"),
    ("logit", sp.logit, lambda x: 1 / (x * (1 - x)), UNIT, "over its range"),
]

# corners: NaN, infinities, ends of the domain
CORNERS = [
    ("ndtr", sp.ndtr, [NAN, INF, -INF, 0]), ("log_ndtr", sp.log_ndtr, [NAN, INF, -INF, 0]),
    ("ndtri", sp.ndtri, [NAN, 0, 1, 0.5, -0.5, 2]), ("erfinv", sp.erfinv, [NAN, -1, 1, 0, 1.5]),
    ("lgamma", sp.gammaln, [NAN, INF, 0, 1, 2, -1, -3]), ("digamma", sp.psi, [NAN, INF, -1, -3]),
    ("i0e", sp.i0e, [NAN, 0, INF, -INF]), ("i1e", sp.i1e, [NAN, 0, INF, -INF]),
    ("logit", sp.logit, [NAN, 0, 1, 0.5, -0.5, 2]),
    ("log1mexp", lambda x: np.log(-np.expm1(x)), [NAN, 0, -INF, 1]),
]


def polygamma():
    for order in (0, 1, 2, 5):
        x = real([0.0625, 0.5, 1.25, 2.5, 6, 12.75, 100.5])
        y = elementwise(exactly(lambda v: mpmath.psi(order, v)),
                        exactly(lambda v: mpmath.psi(order + 1, v)))(x.v)
        case("polygamma", [x, order], y, f"order {order}", each=True)


def log_gamma_slope(a, y):
    """d y / d a of y, the logarithm of a draw at a fixed quantile of Gamma(a, 1)."""
    a, x = mpmath.mpf(a), mpmath.exp(mpmath.mpf(y))
    by_a = mpmath.diff(lambda t: mpmath.gammainc(t, 0, x, regularized=True), a)
    return float(-by_a / mpmath.exp(a * mpmath.log(x) - x - mpmath.loggamma(a)))


def gamma_grad():
    a = constant([0.0625, 0.0625, 0.5, 0.5, 1, 1, 2.5, 2.5, 7.75, 12.5, 30, 30, 250])
    y = constant([-20.5, -2.25, -3.5, 0.75, -5, 1.25, -0.5, 1.75, 2.5, 2, 3.25, 3.75, 5.5])
    want = [log_gamma_slope(*point) for point in zip(a.v.tolist(), y.v.tolist())]
    case("gamma_grad", [a, y], torch.tensor(want), "from small shapes to large", each=True)


def make():
    for op, f, slope, points, note in ROWS:
        x = real(points) if slope else constant(points)
        y = elementwise(f, slope)(x.v) if slope else torch.as_tensor(f(np.array(points)))
        # far out, the slopes of i0e and i1e are differences of nearly equal numbers
        case(op, [x], y, note, each="result" if op in ("i0e", "i1e") else True)
    for op, f, points in CORNERS:
        x = constant(points)
        with np.errstate(all="ignore"):
            y = torch.as_tensor(np.asarray(f(np.array(points, dtype=float)), dtype=float))
        case(op, [x], y, "corners", each=True)
    polygamma()
    gamma_grad()
    x = real(Draw("special").normal(4, 1)).expand(4, 3)
    case("log_ndtr", [x], elementwise(exactly(log_cdf), exactly(hazard))(x.v), "stride 0")
    x = real(np.zeros((0, 2)))
    case("lgamma", [x], torch.lgamma(x.v), "empty")
