"""Cases of golden values: tensors as Perigee's Lua calls take them beside the torch tensors of the
same numbers, and the text of a case.  What is computed of them is in the files of the families."""
import math
import warnings
import zlib

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
warnings.filterwarnings("ignore")      # of empty tensors

NAN, INF = math.nan, math.inf
cases = []          # texts of the family being made


def number(v):
    """v to 15 digits, enough for 1e-12; nan and inf are names the reader knows."""
    v = float(v)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    if v == 0:
        return str(v) if math.copysign(1, v) < 0 else "0"
    return f"{v:.15g}"


def numbers(values):
    """A flat list in braces, broken at 100 columns."""
    lines, line = [], "{"
    for i, v in enumerate(values):
        word = number(v) + ("," if i + 1 < len(values) else "")
        if len(line) + len(word) > 96:
            lines.append(line)
            line = " "
        line += word if line in "{ " else " " + word
    return "\n".join(lines + [line]) + "}"


def sizes(shape):
    return "{" + ", ".join(str(n) for n in shape) + "}"


class Arg:
    """A tensor argument: its text, the leaf a gradient is taken by, and its value."""

    def __init__(self, text, leaf, value):
        self.text, self.leaf, self.v = text, leaf, value

    def expand(self, *shape):
        return Arg(f"{self.text}:expand({sizes(shape)})", self.leaf, self.v.expand(*shape))

    def transpose(self, a, b):
        """Axes from 1, as in Lua."""
        return Arg(f"{self.text}:transpose({a}, {b})", self.leaf, self.v.transpose(a - 1, b - 1))

    def slice(self, axis, start, stop, step=1):
        """Positions from 1, both included, as in Lua."""
        at = [slice(None)] * self.v.dim()
        at[axis - 1] = slice(start - 1, stop, step)
        text = f"{self.text}:slice({axis}, {start}, {stop}, {step})"
        return Arg(text, self.leaf, self.v[tuple(at)])


def real(values, shape=None, name="real"):
    """A tensor a gradient is taken by."""
    v = torch.as_tensor(np.asarray(values, dtype=np.float64))
    v = v.reshape(shape) if shape is not None else v
    if name == "real":
        v = v.clone().requires_grad_(True)
    text = f"{name}({sizes(v.shape)}, {numbers(v.detach().flatten().tolist())})"
    return Arg(text, v if name == "real" else None, v)


def constant(values, shape=None):
    return real(values, shape, "constant")


def index(values, shape=None):
    """Whole numbers from 1; .v counts from 0."""
    a = constant(values, shape)
    return Arg("index" + a.text[8:], None, a.v.long() - 1)


def byte(values, shape=None):
    a = constant(values, shape)
    return Arg("byte" + a.text[8:], None, a.v != 0)


class Draw:
    """Small random numbers that float32 and double hold alike: multiples of 1/64."""

    def __init__(self, name):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *shape, scale=1.0):
        return np.round(self.rng.standard_normal(shape) * scale * 64) / 64

    def uniform(self, *shape, low=0.0, high=1.0):
        return np.round(self.rng.uniform(low, high, shape) * 64) / 64

    def distinct(self, *shape):
        """No two alike, none 0: no ties and no kinks."""
        n = int(np.prod(shape))
        return ((self.rng.permutation(n) * 2 + 1 - n + n % 2) / 8).reshape(shape)

    def index(self, n, *shape):
        return self.rng.integers(1, n + 1, shape)


def weights(shape):
    """The gradient that arrives, the same in test_golden.lua: ((7 i) mod 11 - 4.5) / 8."""
    i = torch.arange(int(np.prod(shape, dtype=np.int64)))
    return (((7 * i) % 11) - 4.5).div(8).reshape(shape)


def literal(v):
    """An argument as Lua writes it."""
    if isinstance(v, Arg):
        return v.text
    if isinstance(v, bool):
        return "true" if v else "false"
    if v is None:
        return "nil"
    if isinstance(v, str):
        return f'"{v}"'
    if isinstance(v, dict):
        return "{" + ", ".join(f"{k} = {literal(w)}" for k, w in v.items()) + "}"
    if isinstance(v, (list, tuple)):
        return "{" + ", ".join(literal(w) for w in v) + "}"
    return str(v) if isinstance(v, int) else number(v)


def leaves_of(v):
    if isinstance(v, Arg):
        return [v.leaf] if v.leaf is not None else []
    return [x for w in v for x in leaves_of(w)] if isinstance(v, (list, tuple)) else []


def case(op, args, want, note="", each=False, grad=True, within=None):
    """Perigee's op(args...) is want; its gradients by the real leaves are torch's.
    each: every entry has its own relative error, or only those of the "result"; else the whole has
    one.
    within: (float32, double, reason) where the usual tolerance is too tight."""
    kind = "byte" if want.dtype == torch.bool else "real" if want.is_floating_point() else "index"
    text = [f'case("{op}", "{note}")', "args(" + ",\n     ".join(literal(a) for a in args) + ")"]
    text.append(f'gives("{kind}", {sizes(want.shape)},\n'
                f"{numbers(want.detach().flatten().tolist())})")
    leaves = leaves_of(args)
    if grad and kind == "real" and leaves and want.requires_grad:
        gradients = torch.autograd.grad(want, leaves, weights(want.shape), retain_graph=True,
                                        materialize_grads=True)
        lists = [numbers(g.flatten().tolist()) for g in gradients]
        text.append("gradients(" + ",\n".join(lists) + ")")
    if each:
        text.append('each "result"' if each == "result" else 'each "all"')
    if within:
        text.append(f'within({number(within[0])}, {number(within[1])}, "{within[2]}")')
    cases.append("\n".join(text) + "\n")


def vjp(y, xs, g):
    """Gradients of y by xs that can be differentiated again."""
    return torch.autograd.grad(y, xs, g, create_graph=True, materialize_grads=True)


def elementwise(f, derivative):
    """A torch function from NumPy ones."""
    class function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.as_tensor(np.asarray(f(x.detach().numpy()), dtype=np.float64))

        @staticmethod
        def backward(ctx, g):
            x, = ctx.saved_tensors
            return g * torch.as_tensor(np.asarray(derivative(x.numpy()), dtype=np.float64))
    return function.apply
