"""Arithmetic, activations, comparisons and trigonometric functions."""
import numpy as np
import torch
import torch.nn.functional as F

from oracle import INF, NAN, Draw, byte, case, constant, real, vjp

SPREAD = [-30, -8.5, -3.25, -1, -0.578125, -0.015625, 0.015625, 0.328125, 1, 2.640625, 9.5, 40]
POSITIVE = [0.0009765625, 0.03125, 0.328125, 0.984375, 1, 1.015625, 2.640625, 9.5, 40, 1e4]
SMALL = [-0.984375, -0.75, -0.328125, -0.015625, 0.0009765625, 0.25, 0.515625, 0.96875]
NEAR = [-1e-4, -1e-6, 1e-20, 1e-7, 1e-3]

# op, oracle, points; what it makes of NaN and infinities comes from the same oracle
UNARY = [
    ("neg", torch.neg, SPREAD), ("abs", torch.abs, SPREAD), ("square", torch.square, SPREAD),
    ("reciprocal", torch.reciprocal, SPREAD), ("sqrt", torch.sqrt, POSITIVE),
    ("rsqrt", torch.rsqrt, POSITIVE), ("exp", torch.exp, SPREAD),
    ("expm1", torch.expm1, SPREAD + NEAR),
    ("log", torch.log, POSITIVE), ("log1p", torch.log1p, POSITIVE + NEAR + [-0.5]),
    ("log2", torch.log2, POSITIVE), ("sin", torch.sin, SPREAD), ("cos", torch.cos, SPREAD),
    ("tan", torch.tan, SPREAD), ("asin", torch.asin, SMALL), ("acos", torch.acos, SMALL),
    ("atan", torch.atan, SPREAD), ("sinh", torch.sinh, SPREAD + NEAR),
    ("cosh", torch.cosh, SPREAD), ("asinh", torch.asinh, SPREAD + NEAR),
    ("atanh", torch.atanh, SMALL + NEAR), ("erf", torch.erf, SMALL + [-3.25, 2.5, 7]),
    ("relu", F.relu, SPREAD), ("sigmoid", torch.sigmoid, SPREAD),
    ("tanh", torch.tanh, SMALL + NEAR),
    ("log_sigmoid", F.logsigmoid, SPREAD), ("silu", F.silu, SPREAD),
    ("selu", F.selu, SPREAD), ("softsign", F.softsign, SPREAD),
]

# derivatives made of the result, as torch's are: small ones come from a difference near 1
BY_RESULT = {"expm1", "selu", "elu", "sigmoid", "tanh"}


def unary():
    # softsign of an infinity is NaN in torch, and its limit here: left out
    for op, f, points in UNARY:
        x = real(points)
        case(op, [x], f(x.v), "over its range", each="result" if op in BY_RESULT else True)
        x = constant([NAN, 0.0] if op == "softsign" else [NAN, INF, -INF, 0.0])
        case(op, [x], f(x.v), "NaN, infinities and 0", each=True)
    # beyond the thresholds at which torch turns to a straight line or to a tail of lost digits
    x = real(SPREAD)
    case("softplus", [x], torch.logaddexp(x.v, torch.zeros(())), "over its range", each=True)
    x = real([-5.5, -3.25, -1.5, -0.25, 0.0, 0.25, 1.5, 6, 40])
    case("gelu", [x], F.gelu(x.v), "over its range")
    case("gelu_tanh", [x], F.gelu(x.v, approximate="tanh"), "over its range")
    x = constant([NAN, INF])
    case("softplus", [x], F.softplus(x.v), "NaN and inf")
    case("gelu", [x], F.gelu(x.v), "NaN and inf")
    case("gelu_tanh", [x], F.gelu(x.v, approximate="tanh"), "NaN and inf")


def views():
    d = Draw("views")
    x = real(d.normal(3, 1)).expand(3, 4)
    case("exp", [x], x.v.exp(), "stride 0")
    x = real(d.normal(3, 4)).transpose(1, 2)
    case("sigmoid", [x], x.v.sigmoid(), "transposed")
    x = real(d.normal(3, 7)).slice(2, 2, 7, 2)
    case("tanh", [x], x.v.tanh(), "every second column")
    x = real(d.normal(0, 3))
    case("silu", [x], F.silu(x.v), "empty")
    x = real(0.75, ())
    case("sin", [x], x.v.sin(), "no axes")


def kinks():
    """Where torch's choice of a derivative is Perigee's too.  It is not on ties of maximum and
    minimum, of which torch gives each half, nor at the bounds of clamp, where it gives nothing."""
    x = real([0.0, 0.0])
    for op, f in (("abs", torch.abs), ("relu", F.relu), ("sqrt", torch.sqrt),
                  ("leaky_relu", F.leaky_relu)):
        case(op, [x], f(x.v), "at 0")


def slopes():
    x = real(SPREAD)
    for slope in (0.01, 0.25, 0.0):
        case("leaky_relu", [x, slope], F.leaky_relu(x.v, slope), f"slope {slope}", each=True)
    for scale in (1.0, 1.5):
        case("elu", [x, scale], F.elu(x.v, scale), f"scale {scale}", each="result")
    case("clamp", [x, -1.5, 2.0], x.v.clamp(-1.5, 2), "two bounds")
    case("clamp", [x, None, 0.5], x.v.clamp(max=0.5), "an upper bound")
    x = constant([NAN, INF, -INF])
    case("clamp", [x, -1.5, 2.0], x.v.clamp(-1.5, 2), "NaN and infinities")


BINARY = [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div),
          ("maximum", torch.maximum), ("minimum", torch.minimum), ("atan2", torch.atan2),
          ("logaddexp", torch.logaddexp)]


def binary():
    for op, f in BINARY:
        d = Draw(op)
        x, y = real(d.distinct(2, 3, 4)), real(d.distinct(3, 1) + 1 / 64)
        case(op, [x, y], f(x.v, y.v), "broadcast")
        x, y = real(d.distinct(4, 3)).transpose(1, 2), real(d.distinct(1, 4) + 1 / 64).expand(3, 4)
        case(op, [x, y], f(x.v, y.v), "transposed and stride 0")
        x, y = constant([NAN, INF, -INF, INF, 1, 2]), constant([1, 2, 3, -INF, NAN, INF])
        case(op, [x, y], f(x.v, y.v), "NaN and infinities", each=True)
        x, y = real(d.normal(0, 3)), real(d.normal(3))
        case(op, [x, y], f(x.v, y.v), "empty")
    x, y = real(POSITIVE[1:7]), real([-2.5, 0.5, 3, 0, 1.25, -1])
    case("pow", [x, y], torch.pow(x.v, y.v), "powers that vary", each=True)
    x = real(SMALL)
    for power in (2.0, 3.0, -1.0, 0.0):
        case("pow", [x, power], torch.pow(x.v, power), f"power {power}", each=True)
    x, y = constant([0, 0, 0, INF, INF, NAN, -2, -2]), constant([0, 2, -1, 2, -1, 0, 3, 0.5])
    case("pow", [x, y], torch.pow(x.v, y.v), "corners")
    d = Draw("logaddexp")
    x, y = real([1e4, -1e4, 0, 80.5]), real([1e4, -1e4 - 1, -200, 80.25])
    case("logaddexp", [x, y], torch.logaddexp(x.v, y.v), "large", each=True)
    x, y = constant([0.0, -0.0, -1, -1, 0, 0]), constant([1, -1, 1.0, -1, 1, -1])
    case("atan2", [x, y], torch.atan2(x.v, y.v), "quadrants")


def derivatives():
    """Rows that are a derivative of another: x times it at y."""
    for op, f in (("silu_grad", F.silu), ("gelu_grad", F.gelu), ("relu_grad", F.relu)):
        d = Draw(op)
        x, y = real(d.normal(2, 5)), real(d.distinct(2, 5))
        case(op, [x, y], vjp(f(y.v), [y.v], x.v)[0])
    d = Draw("derivatives")
    x, y = real(d.normal(2, 5)), real(d.distinct(2, 5))
    case("leaky_relu_grad", [x, y, 0.125], vjp(F.leaky_relu(y.v, 0.125), [y.v], x.v)[0])
    x, y = real(d.normal(2, 5)), real(d.uniform(2, 5))
    case("sigmoid_grad", [x, y], x.v * y.v * (1 - y.v))
    case("tanh_grad", [x, y], x.v * (1 - y.v ** 2))
    x, y, g = real([-60.5, -2.25, 0, 0.75, 12.5]), real([0, 0.25, 1, 0.5, 1]), real(d.normal(5))
    case("bce_logits", [x, y], F.binary_cross_entropy_with_logits(x.v, y.v, reduction="none"),
         "targets between 0 and 1")
    case("bce_grad", [x, y, g], g.v * (x.v.sigmoid() - y.v))
    x = real([1e4, -1e4, 1e4, -1e4])
    y = real([1, 0, 0, 1])
    case("bce_logits", [x, y], F.binary_cross_entropy_with_logits(x.v, y.v, reduction="none"),
         "large logits")


def comparisons():
    x, y = constant([1, 2, 3, NAN, INF, -INF, 0.0]), constant([1, 3, 2, NAN, INF, INF, -0.0])
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        case(op, [x, y], getattr(torch, op)(x.v, y.v), "NaN and infinities among them")
    x, y = constant(Draw("compare").normal(3, 1)), constant(Draw("compare2").normal(1, 4))
    case("lt", [x, y], x.v < y.v, "broadcast")
    x = constant([-2.5, -1.5, -0.5, -0.0, 0.5, 1.5, 2.5, 7, INF, -INF])
    case("floor", [x], x.v.floor(), "halves and infinities")
    case("round", [x], x.v.round(), "halves and infinities")
    case("sign", [x], x.v.sign(), "halves and infinities")
    x = constant([NAN, INF, -INF, 0, 3e38])
    case("is_finite", [x], x.v.isfinite())
    d = Draw("where")
    c, x, y = byte([[1], [0], [1]]), real(d.normal(3, 4)), real(d.normal(4))
    case("where", [c, x, y], torch.where(c.v, x.v, y.v), "broadcast")
    x = real([NAN, 1, INF])
    c, y = byte([0, 1, 0]), real([2.5, NAN, 3])
    case("where", [c, x, y], torch.where(c.v, x.v, y.v), "NaN in what is not taken")


def make():
    unary()
    views()
    kinks()
    slopes()
    binary()
    derivatives()
    comparisons()
