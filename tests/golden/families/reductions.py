"""Reductions, the softmax family, scans, sorting and losses."""
import numpy as np
import torch
import torch.nn.functional as F

from oracle import INF, NAN, Draw, byte, case, constant, index, real, vjp

EVERY = [None, 1, 2, -1, [1, 3], [3, 2, 1]]
MATHEMATICS = {
    "sum": lambda x, a, keep: x.sum(a, keep), "mean": lambda x, a, keep: x.mean(a, keep),
    "max": lambda x, a, keep: x.amax(a, keep), "min": lambda x, a, keep: x.amin(a, keep),
    "var": lambda x, a, keep: x.var(a, correction=0, keepdim=keep),
    "norm": lambda x, a, keep: torch.linalg.vector_norm(x, dim=a, keepdim=keep),
    "logsumexp": lambda x, a, keep: torch.logsumexp(x, a, keep),
}


def product(x, axes, keep):
    for a in sorted(axes, reverse=True):
        x = x.prod(a, keepdim=keep)
    return x


def axes_of(axes, n):
    """Perigee's axes as torch takes them."""
    if axes is None:
        return tuple(range(n))
    axes = axes if isinstance(axes, list) else [axes]
    return tuple(a - 1 if a > 0 else a + n for a in axes)


def over_axes():
    for op, f in {**MATHEMATICS, "prod": product}.items():
        d = Draw(op)
        for axes in EVERY:
            x, keep = real(d.distinct(2, 3, 4)), axes in (2, [1, 3])
            case(op, [x, axes, keep], f(x.v, axes_of(axes, 3), keep),
                 f"axes {axes}{', kept' if keep else ''}".replace("None", "absent"))
        x = real(d.distinct(4, 3)).transpose(1, 2)
        case(op, [x, 1], f(x.v, (0,), False), "transposed")
        x = real(d.distinct(3, 8)).slice(2, 2, 8, 3)
        case(op, [x, 2], f(x.v, (1,), False), "sliced")
        if op not in ("max", "min"):
            x = real(d.distinct(1, 3)).expand(4, 3)
            case(op, [x, 1], f(x.v, (0,), False), "stride 0")
        x = real(d.distinct(3, 1))
        case(op, [x, 2], f(x.v, (1,), False), "an axis of size 1")
        x = constant([[1, NAN, 3], [INF, 2, 1], [-INF, 1, 2], [INF, -INF, 0]])
        case(op, [x, 2], f(x.v, (1,), False), "NaN and infinities")
        x = real(np.zeros((0, 3)))
        case(op, [x, 2], f(x.v, (1,), False), "no rows")
    for op in ("sum", "prod", "norm"):
        x = real(np.zeros((0, 3)))
        case(op, [x, 1], {**MATHEMATICS, "prod": product}[op](x.v, (0,), False), "an empty axis")
    x = real([[2, 0, 3], [0, 5, 0], [1, 2, 3]])
    case("prod", [x, 2], x.v.prod(1), "zeros")
    x = real([[1, 3, 3, 0], [2, 2, 2, 2], [0, 0, 0, 0]])
    for op in ("max", "min", "norm"):
        case(op, [x, 2], MATHEMATICS[op](x.v, (1,), False), "ties and zeros")
    for op in ("sum", "mean", "var", "norm", "logsumexp", "max"):
        x = real(Draw("long").distinct(2, 67) / 8)
        case(op, [x, 2], MATHEMATICS[op](x.v, (1,), False), "long rows")
        case(op, [x, 1], MATHEMATICS[op](x.v, (0,), False), "many columns")
    for correction in (1, 2):
        x = real(Draw("var").normal(4, 5))
        case("var", [x, 1, False, correction], x.v.var(0, correction=correction),
             f"correction {correction}")
    x = real([[1e4, 1e4 + 1, 1e4 + 3], [-4096, -4095, -4097]])
    case("var", [x, 2], x.v.var(1, correction=0), "a mean far from 0",
         within=(1e-3, 1e-11, "the mean of the gradient is rounded to its last digit"))
    x = constant([[1, 0, 2], [0, 0, 0], [1, NAN, 3]])
    for op in ("any", "all"):
        case(op, [x, 2], getattr(torch, op)(x.v, 1), "zeros and NaN")
        case(op, [x], getattr(torch, op)(x.v), "axes absent")
        y = byte([[1, 0], [1, 1]])
        case(op, [y, -1, True], getattr(torch, op)(y.v, 1, keepdim=True), "bytes, kept")
    x = constant([[3, 1, 3, 2], [NAN, 1, 2, 0], [-INF, -INF, -INF, -INF]])
    for op in ("argmax", "argmin"):
        case(op, [x, 2], torch.as_tensor(getattr(np, op)(x.v.numpy(), 1) + 1), "ties and NaN")


LARGE = [[1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4], [88.5, 0, -110]]
# not inf: torch makes every entry of its row NaN, Perigee only its own
HOLES = [[0.5, -INF, 1.25], [-INF, -INF, 2], [-INF, -INF, -INF], [NAN, 1, 2]]


def softmax_family():
    for op, f in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
        d = Draw(op)
        for axis in (1, 2, 3, -1):
            x = real(d.normal(2, 3, 4))
            case(op, [x, axis], f(x.v, axis - 1 if axis > 0 else axis), f"axis {axis}")
        x = real(d.normal(2, 67, scale=3))
        case(op, [x, 2], f(x.v, 1), "long rows")
        case(op, [x, 1], f(x.v, 0), "many columns")
        x = real(LARGE)
        case(op, [x, 2], f(x.v, 1), "large logits", each="result")
        x = constant(HOLES)
        case(op, [x, 2], f(x.v, 1), "-inf and NaN", each=True)
        x = real(HOLES[:2])
        case(op, [x], f(x.v, 1), "-inf, with gradient")
        x = real(d.normal(3, 5)).transpose(1, 2)
        case(op, [x], f(x.v, -1), "transposed")
        x = real(d.normal(3, 1)).expand(3, 5)
        case(op, [x, 1], f(x.v, 0), "stride 0")
        x = real(d.normal(3, 1))
        case(op, [x], f(x.v, -1), "an axis of size 1")
        x = real(np.zeros((0, 4)))
        case(op, [x], f(x.v, -1), "empty")
    x = real(LARGE)
    case("logsumexp", [x, 2], torch.logsumexp(x.v, 1), "large logits",
         within=(1e-3, 1e-11, "e^(x - y) is as wrong as y's last digit is large"))
    x = real([[-INF, -INF], [-INF, 3]])
    case("logsumexp", [x.slice(1, 2, 2), 2], torch.logsumexp(x.v[1:], 1), "-inf, with gradient")
    x = constant([[-INF, -INF], [-INF, 3]])
    case("logsumexp", [x, 2], torch.logsumexp(x.v, 1), "nothing but -inf")
    d = Draw("softmax_grad")
    g, y = real(d.normal(3, 4)), real(d.uniform(3, 4))
    for axis in (1, 2):
        inner = (g.v * y.v).sum(axis - 1, keepdim=True)
        case("softmax_grad", [g, y, axis], y.v * (g.v - inner), f"axis {axis}")
        inner = g.v.sum(axis - 1, keepdim=True)
        case("log_softmax_grad", [g, y, axis], g.v - y.v.exp() * inner, f"axis {axis}")


def losses():
    d = Draw("losses")
    for smoothing in (0.0, 0.125):
        x, i = real(d.normal(5, 4)), index(d.index(4, 5))
        case("cross_entropy", [x, i, -1, smoothing],
             F.cross_entropy(x.v, i.v, reduction="none", label_smoothing=smoothing),
             f"smoothing {smoothing}")
        x, i = real(d.normal(2, 4, 3)), index(d.index(4, 2, 3))
        case("cross_entropy", [x, i, 2, smoothing],
             F.cross_entropy(x.v, i.v, reduction="none", label_smoothing=smoothing),
             f"axis 2, smoothing {smoothing}")
    x, i = real(LARGE), index([2, 1, 3])
    case("cross_entropy", [x, i], F.cross_entropy(x.v, i.v, reduction="none"), "large logits",
         each="result")
    x, i = constant(HOLES[:2]), index([2, 3])
    case("cross_entropy", [x, i], F.cross_entropy(x.v, i.v, reduction="none"), "-inf")
    x, i = real(np.zeros((0, 4))), index([], (0,))
    case("cross_entropy", [x, i], F.cross_entropy(x.v, i.v, reduction="none"), "empty")
    x, i = real(d.normal(4, 5)).transpose(1, 2), index(d.index(4, 5))
    case("cross_entropy", [x, i], F.cross_entropy(x.v, i.v, reduction="none"), "transposed")
    x, i, g = real(d.normal(5, 4)), index(d.index(4, 5)), real(d.normal(5))
    for smoothing in (0.0, 0.125):
        y = F.cross_entropy(x.v, i.v, reduction="none", label_smoothing=smoothing)
        case("cross_entropy_grad", [x, i, g, -1, smoothing], vjp(y, [x.v], g.v)[0],
             f"smoothing {smoothing}")


def scan(x, a, reverse):
    """y_t = a_t y_(t-1) + x_t on the last axis."""
    steps = range(x.shape[-1])
    y, out = torch.zeros(x.shape[:-1]), [None] * x.shape[-1]
    for t in reversed(steps) if reverse else steps:
        y = out[t] = a[..., t] * y + x[..., t]
    return torch.stack(out, -1)


def scans():
    for op, f in (("cumsum", torch.cumsum), ("cumprod", torch.cumprod)):
        d = Draw(op)
        for axis in (1, 2, -1):
            x = real(d.normal(3, 4, 2))
            case(op, [x, axis], f(x.v, axis - 1 if axis > 0 else axis), f"axis {axis}")
        x = real(d.normal(4, 3)).transpose(1, 2)
        case(op, [x], f(x.v, -1), "transposed")
        x = real([[2, 0, 3, 0, 1], [0, 1, 2, 3, 4]])
        case(op, [x], f(x.v, -1), "zeros")
        x = constant([[1, NAN, 2], [1, INF, -INF]])
        case(op, [x], f(x.v, -1), "NaN and infinities")
        x = real(np.zeros((3, 0)))
        case(op, [x], f(x.v, -1), "empty")
    d = Draw("scan")
    for reverse in (False, True):
        x, a = real(d.normal(2, 5)), real(d.uniform(2, 5, low=-1))
        case("linear_scan", [x, a, -1, reverse], scan(x.v, a.v, reverse), f"reverse {reverse}")
    x, a = real(d.normal(5, 2)), real(d.uniform(5, 2, low=-1))
    case("linear_scan", [x, a, 1], scan(x.v.T, a.v.T, False).T, "axis 1")


def sorting():
    d = Draw("sort")
    for axis in (1, 2, -1):
        for down in (False, True):
            x = real(d.distinct(4, 5))
            a = axis - 1 if axis > 0 else axis
            case("sort", [x, axis, down], x.v.sort(a, descending=down)[0],
                 f"axis {axis}, descending {down}")
            case("argsort", [x, axis, down], x.v.argsort(dim=a, descending=down, stable=True) + 1,
                 f"axis {axis}, descending {down}")
    x = constant([2, 1, 2, 1, 1, 2, 0])
    for down in (False, True):
        case("argsort", [x, 1, down], x.v.argsort(dim=0, descending=down, stable=True) + 1,
             f"ties, descending {down}")
    x = real(d.distinct(2, 160))
    case("sort", [x], x.v.sort()[0], "long rows")
    case("argsort", [x, -1, True], x.v.argsort(dim=-1, descending=True, stable=True) + 1,
         "long rows")
    case("topk", [x, 7], x.v.topk(7)[0], "of long rows")
    x = constant([3, NAN, -INF, INF, 1])
    case("sort", [x], x.v.sort()[0], "NaN and infinities")
    x = real(d.distinct(4, 1)).transpose(1, 2)
    case("sort", [x, 1], x.v.sort(0)[0], "an axis of size 1")
    x = real(np.zeros((0, 3)))
    case("sort", [x, 1], x.v.sort(0)[0], "empty")
    for axis, k, largest in ((1, 2, True), (2, 3, False), (-1, 5, True)):
        x = real(d.distinct(4, 5))
        a = axis - 1 if axis > 0 else axis
        value, where = x.v.topk(k, a, largest)
        case("topk", [x, k, axis, largest], value, f"{k}, axis {axis}, largest {largest}")
        case("argtopk", [x, k, axis, largest], where + 1, f"{k}, axis {axis}, largest {largest}")
    edges, x = constant([-1, 0, 0.5, 2]), constant([[-2, -1, 0.25], [0.5, 2, 7]])
    case("searchsorted", [edges, x], torch.searchsorted(edges.v, x.v, right=True), "shared edges")
    edges, x = constant([[0, 1, 2], [5, 6, 7]]), constant([[0.5, 2, -1, 1], [6.5, 4, 7, 5]])
    case("searchsorted", [edges, x], torch.searchsorted(edges.v, x.v, right=True), "edges of rows")


def make():
    over_axes()
    softmax_family()
    losses()
    scans()
    sorting()
