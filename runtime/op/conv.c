/* Convolution and its two adjoints.  The three are one trilinear form
     T(x, w, y) = sum over n, o, k, i, c of  x[n, o stride + k dilation - low, i] w[k, i, c] y[n, o, c]
   with one argument left open, so each derivative is again one of the three.  Dumoulin & Visin 2016,
   ch. 2 to 5, has the sizes. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convolution/convolution.h"
#include "op/op.h"

enum { LARGEST = 1 << 30 };

/* The three arrays' shapes as one problem, with the padding worked out. */
typedef struct {
  const char *op;
  peri__conv c;
  int64_t high[3];
  peri_dims first, second;      /* shapes of the inputs, for messages */
} problem;

#define REFUSE(p, ...) (refuse(p, __VA_ARGS__), false)

/* "op: what is wrong; x has shape .. and w .." */
__attribute__((format(printf, 2, 3)))
static void refuse (const problem *p, const char *format, ...) {
  char text[256], first[PERI_SHAPETEXT], second[PERI_SHAPETEXT];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  peri_fail(PERI_E_SHAPE, "%s: x of shape %s and %s of shape %s: %s", p->op,
            peri__dims_text(p->first, first), strcmp(p->op, "conv_weight") ? "w" : "g",
            peri__dims_text(p->second, second), text);
}

/* Ranks, the window's numbers, and how many axes there are. */
static bool read_window (problem *p, const peri_window *w) {
  int n = p->first.n - 2;
  if (n < 1 || n > 3)
    return REFUSE(p, "x must be (batch, 1 to 3 spatial axes.., channels); reshape it");
  if (p->second.n != p->first.n)
    return REFUSE(p, "both must have %d axes", p->first.n);
  if (w->listed && w->listed != n)
    return REFUSE(p, "the window's lists have %d entries, but there are %d spatial axes", w->listed, n);
  if (w->groups < 1) return REFUSE(p, "groups = %d; want 1 or more", w->groups);
  p->c.axes = n;
  p->c.groups = w->groups;
  for (int a = 0; a < 3; a++) {
    int from = a - (3 - n);             /* the window's entry for axis a */
    p->c.x[a] = p->c.y[a] = p->c.k[a] = p->c.stride[a] = p->c.dilation[a] = 1;
    if (from < 0) continue;
    p->c.stride[a] = w->stride[from];
    p->c.dilation[a] = w->dilation[from];
    p->c.low[a] = w->low[from];
    p->high[a] = w->high[from];
    if (w->stride[from] < 1 || w->dilation[from] < 1 || w->low[from] < 0 || w->high[from] < 0
        || w->extra[from] < 0 || w->size[from] < 0 || w->padding > PERI_PAD_CAUSAL)
      return REFUSE(p, "stride and dilation are at least 1, padding, output_padding and size at least 0");
  }
  return true;
}

/* Spatial sizes out of a shape; false with a failure when one is 0 or too large. */
static bool read_sizes (problem *p, const char *what, peri_dims shape, int at, int64_t to[3]) {
  int n = (int) p->c.axes;
  for (int a = 0; a < n; a++) {
    to[3 - n + a] = shape.at[at + a];
    if (shape.at[at + a] < 1 || shape.at[at + a] > LARGEST)
      return REFUSE(p, "spatial axis %d of %s has size %lld; want 1 or more", a + 1, what,
                    (long long) shape.at[at + a]);
  }
  return true;
}

/* Padding of axis a by its rule, where x has that size. */
static void pad_by_rule (problem *p, int padding, int a, int64_t x) {
  peri__conv *c = &p->c;
  int64_t s = c->stride[a], reach = peri__conv_reach(c, a), out = (x + s - 1) / s;
  int64_t all = (out - 1) * s + reach - x;
  if (padding == PERI_PAD_GIVEN) return;
  if (all < 0) all = 0;
  c->low[a] = padding == PERI_PAD_CAUSAL ? reach - 1 : all / 2;
  p->high[a] = padding == PERI_PAD_CAUSAL ? 0 : all - all / 2;
}

/* y's sizes from x's and the filter's. */
static bool find_output (problem *p, const peri_window *w) {
  peri__conv *c = &p->c;
  for (int a = 3 - (int) c->axes, i = 0; a < 3; a++, i++) {
    pad_by_rule(p, w->padding, a, c->x[a]);
    int64_t room = c->x[a] + c->low[a] + p->high[a] - peri__conv_reach(c, a);
    if (room < 0)
      return REFUSE(p, "along spatial axis %d the filter spans %lld and the padded x has only %lld; "
                    "add padding", i + 1, (long long) peri__conv_reach(c, a),
                    (long long) (c->x[a] + c->low[a] + p->high[a]));
    c->y[a] = room / c->stride[a] + 1;
  }
  return true;
}

/* x's sizes, those of the result, from y's and the filter's; w->size when it is given. */
static bool find_input (problem *p, const peri_window *w) {
  peri__conv *c = &p->c;
  for (int a = 3 - (int) c->axes, i = 0; a < 3; a++, i++) {
    int64_t s = c->stride[a], reach = peri__conv_reach(c, a), size = w->size[i], least;
    if (w->extra[i] >= s)
      return REFUSE(p, "output_padding %d along spatial axis %d is not less than the stride %lld",
                    w->extra[i], i + 1, (long long) s);
    if (size && w->extra[i]) return REFUSE(p, "give size or output_padding, not both");
    if (w->padding == PERI_PAD_GIVEN) {
      least = (c->y[a] - 1) * s + reach - c->low[a] - p->high[a];
      if (!size) size = least + w->extra[i];
    } else {
      least = (c->y[a] - 1) * s + 1;
      if (!size) size = w->extra[i] ? least + w->extra[i] : c->y[a] * s;
      pad_by_rule(p, w->padding, a, size);
    }
    if (size < 1 || size > LARGEST)
      return REFUSE(p, "along spatial axis %d the result would have size %lld; use less padding",
                    i + 1, (long long) size);
    if (size < least || size >= least + s)
      return REFUSE(p, "along spatial axis %d a result of size %lld does not come from %lld positions; "
                    "want %lld to %lld", i + 1, (long long) size, (long long) c->y[a],
                    (long long) (least < 1 ? 1 : least), (long long) (least + s - 1));
    c->x[a] = size;
  }
  return true;
}

static bool check_groups (const problem *p, const char *what, int64_t channels) {
  if (channels % p->c.groups == 0) return true;
  return REFUSE(p, "the %lld %s do not divide into %lld groups", (long long) channels, what,
                (long long) p->c.groups);
}

/* The bias as `channels` packed numbers, NULL where it is the number 0. */
static bool read_bias (const problem *p, peri_tensor *b, int64_t channels, peri_tensor **bias) {
  char text[PERI_SHAPETEXT];
  *bias = NULL;
  if (b->ndim == 0 && *(peri_real *) b->data == 0) return true;
  if (b->ndim > 1 || (b->ndim == 1 && b->shape[0] != channels))
    return REFUSE(p, "b has shape %s; want (%lld), one number for each channel of the result",
                  peri_shape_text(b, text), (long long) channels);
  b = peri__expand_to(b, (peri_dims) {.n = 1, .at = {channels}});
  *bias = b ? peri__packed(b) : NULL;
  return *bias != NULL;
}

/* (lead.., spatial.., tail..) */
static peri_dims join (const problem *p, int64_t lead, const int64_t size[3], int64_t before_last,
                       int64_t last) {
  peri_dims d = {.n = 0};
  if (lead >= 0) d.at[d.n++] = lead;
  for (int a = 3 - (int) p->c.axes; a < 3; a++) d.at[d.n++] = size[a];
  if (before_last >= 0) d.at[d.n++] = before_last;
  d.at[d.n++] = last;
  return d;
}

/* Is it a product of matrices: a filter of one position, or one as large as x? */
static bool is_product (const peri__conv *c) {
  bool point = true, whole = true;
  for (int a = 0; a < 3; a++) {
    bool plain = c->low[a] == 0 && (c->stride[a] == 1 || c->y[a] == 1);
    point &= plain && c->k[a] == 1 && c->x[a] == c->y[a];
    whole &= plain && c->y[a] == 1 && c->x[a] == c->k[a] && (c->dilation[a] == 1 || c->k[a] == 1);
  }
  return c->groups == 1 && (point || whole);
}

/* x with that many columns. */
static peri_tensor *as_matrix (peri_tensor *x, int64_t columns) {
  return peri_reshape(x, peri_shape(2, x->count / columns, columns));
}

/* Rows of x are what an output position sees, rows of y the output. */
static peri_tensor *multiply (const problem *p, peri__conv_task task, peri_tensor *first,
                              peri_tensor *second, peri_tensor *b, peri_dims shape) {
  int64_t seen = p->c.k[0] * p->c.k[1] * p->c.k[2] * p->c.in, out = p->c.out;
  bool was = peri_set_recording(false);
  peri_tensor *z;
  if (task == PERI__CONV_OUTPUT) {
    z = peri_matmul(as_matrix(first, seen), as_matrix(second, out));
  } else if (task == PERI__CONV_INPUT) {
    z = peri_matmul(as_matrix(first, out), peri_transpose(as_matrix(second, out), 0, 1));
  } else {
    z = peri_matmul(peri_transpose(as_matrix(first, seen), 0, 1), as_matrix(second, out));
  }
  z = peri_reshape(z, shape);
  if (b) z = peri_add(z, b);
  peri_set_recording(was);
  return z;
}

/* Compute the result z of `task` from two packed arrays. */
static peri_tensor *compute (const problem *p, peri__conv_task task, peri_tensor *first,
                             peri_tensor *second, peri_tensor *b, peri_dims shape) {
  const peri__conv *c = &p->c;
  bool any = first->count > 0 && second->count > 0;
  const peri_real *bias = b ? b->data : NULL;
  if (any && is_product(c)) return multiply(p, task, first, second, b, shape);
  peri_tensor *z = peri_empty(PERI_REAL, shape);
  first = peri__packed(first);
  second = peri__packed(second);
  if (!z || !first || !second) return NULL;
  if (!any) {
    int64_t last = shape.at[shape.n - 1];
    for (int64_t i = 0; i < z->count; i++)
      ((peri_real *) z->data)[i] = bias ? bias[i % last] : 0;
    return z;
  }
  peri_real *p1 = first->data, *p2 = second->data, *r = z->data;
  bool done = task == PERI__CONV_OUTPUT ? peri__convolve(p->op, task, c, p1, p2, r, bias)
            : task == PERI__CONV_INPUT ? peri__convolve(p->op, task, c, r, p2, p1, bias)
            : peri__convolve(p->op, task, c, p1, r, p2, NULL);
  return done ? z : NULL;
}

/* A window that says again what problem p is, for the derivatives: `size` is that of x or of w. */
static peri_window window_of (const problem *p, const int64_t size[3]) {
  peri_window w = PERI_WINDOW_ONE;
  int lead = 3 - (int) p->c.axes;
  for (int a = lead, i = 0; a < 3; a++, i++) {
    w.stride[i] = (int32_t) p->c.stride[a];
    w.dilation[i] = (int32_t) p->c.dilation[a];
    w.low[i] = (int32_t) p->c.low[a];
    w.high[i] = (int32_t) p->high[a];
    if (size) w.size[i] = (int32_t) size[a];
  }
  w.groups = (int32_t) p->c.groups;
  return w;
}

/* --- conv --- */

static bool read_conv (problem *p, const char *op, peri_dims x, peri_dims w, const peri_window *win) {
  *p = (problem) {.op = op, .first = x, .second = w};
  if (!read_window(p, win) || !read_sizes(p, "x", x, 1, p->c.x) || !read_sizes(p, "w", w, 0, p->c.k))
    return false;
  p->c.batch = x.at[0];
  p->c.in = x.at[x.n - 1];
  p->c.out = w.at[w.n - 1];
  if (!check_groups(p, "channels of x", p->c.in) || !check_groups(p, "channels out of w", p->c.out))
    return false;
  if (w.at[w.n - 2] != p->c.in / p->c.groups)
    return REFUSE(p, "w must be (filter.., in / groups, out) with in / groups = %lld / %lld",
                  (long long) p->c.in, (long long) p->c.groups);
  for (int a = 3 - (int) p->c.axes, i = 0; a < 3; a++, i++) {
    if (win->size[i] && win->size[i] != p->c.k[a])
      return REFUSE(p, "size %d along spatial axis %d is not w's; leave it out", win->size[i], i + 1);
    if (win->extra[i]) return REFUSE(p, "output_padding is for conv_transpose");
  }
  return find_output(p, win);
}

peri_tensor *peri__conv_forward (const peri_call *c) {
  problem p;
  peri_tensor *bias;
  if (!read_conv(&p, "conv", peri_shape_of(c->in[0]), peri_shape_of(c->in[1]), &c->a.window)
      || !read_bias(&p, c->in[2], p.c.out, &bias))
    return NULL;
  return compute(&p, PERI__CONV_OUTPUT, c->in[0], c->in[1], bias,
                 join(&p, p.c.batch, p.c.y, -1, p.c.out));
}

/* dx = conv_transpose(g, w),  dw = conv_weight(x, g),  db = the sum of g, which the engine takes */
void peri__conv_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *w = peri_input(n, 1);
  problem p;
  if (!read_conv(&p, "conv", peri_shape_of(x), peri_shape_of(w), &n->a.window)) return;
  if (peri_wanted(n, 0)) dx[0] = peri_conv_transpose(g, w, peri_number(0), window_of(&p, p.c.x));
  if (peri_wanted(n, 1)) dx[1] = peri_conv_weight(x, g, window_of(&p, p.c.k));
  dx[2] = g;
}

/* --- conv_transpose: what is x to the caller is y to the form --- */

static bool read_transpose (problem *p, peri_dims y, peri_dims w, const peri_window *win) {
  *p = (problem) {.op = "conv_transpose", .first = y, .second = w};
  if (!read_window(p, win) || !read_sizes(p, "x", y, 1, p->c.y) || !read_sizes(p, "w", w, 0, p->c.k))
    return false;
  p->c.batch = y.at[0];
  p->c.out = y.at[y.n - 1];
  p->c.in = w.at[w.n - 2] * p->c.groups;
  if (!check_groups(p, "channels of x", p->c.out)) return false;
  if (w.at[w.n - 1] != p->c.out)
    return REFUSE(p, "w must be (filter.., out / groups, in) with in = %lld", (long long) p->c.out);
  return find_input(p, win);
}

peri_tensor *peri__conv_transpose_forward (const peri_call *c) {
  problem p;
  peri_tensor *bias;
  if (!read_transpose(&p, peri_shape_of(c->in[0]), peri_shape_of(c->in[1]), &c->a.window)
      || !read_bias(&p, c->in[2], p.c.in, &bias))
    return NULL;
  return compute(&p, PERI__CONV_INPUT, c->in[0], c->in[1], bias,
                 join(&p, p.c.batch, p.c.x, -1, p.c.in));
}

/* dx = conv(g, w),  dw = conv_weight(g, x) */
void peri__conv_transpose_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *w = peri_input(n, 1);
  problem p;
  if (!read_transpose(&p, peri_shape_of(x), peri_shape_of(w), &n->a.window)) return;
  if (peri_wanted(n, 0)) dx[0] = peri_conv(g, w, peri_number(0), window_of(&p, NULL));
  if (peri_wanted(n, 1)) dx[1] = peri_conv_weight(g, x, window_of(&p, p.c.k));
  dx[2] = g;
}

/* --- conv_weight --- */

static bool read_weight (problem *p, peri_dims x, peri_dims y, const peri_window *win) {
  *p = (problem) {.op = "conv_weight", .first = x, .second = y};
  int64_t want[3];
  if (!read_window(p, win) || !read_sizes(p, "x", x, 1, p->c.x) || !read_sizes(p, "g", y, 1, want))
    return false;
  p->c.batch = x.at[0];
  p->c.in = x.at[x.n - 1];
  p->c.out = y.at[y.n - 1];
  if (y.at[0] != p->c.batch) return REFUSE(p, "the batches differ");
  if (!check_groups(p, "channels of x", p->c.in) || !check_groups(p, "channels of g", p->c.out))
    return false;
  for (int a = 3 - (int) p->c.axes, i = 0; a < 3; a++, i++) {
    if (win->size[i] < 1) return REFUSE(p, "say the filter's size in the window");
    if (win->extra[i]) return REFUSE(p, "output_padding is for conv_transpose");
    p->c.k[a] = win->size[i];
  }
  if (!find_output(p, win)) return false;
  for (int a = 3 - (int) p->c.axes, i = 0; a < 3; a++, i++)
    if (p->c.y[a] != want[a])
      return REFUSE(p, "along spatial axis %d this window makes %lld positions of x, not %lld", i + 1,
                    (long long) p->c.y[a], (long long) want[a]);
  return true;
}

peri_tensor *peri__conv_weight_forward (const peri_call *c) {
  problem p;
  if (!read_weight(&p, peri_shape_of(c->in[0]), peri_shape_of(c->in[1]), &c->a.window)) return NULL;
  return compute(&p, PERI__CONV_WEIGHT, c->in[0], c->in[1], NULL,
                 join(&p, -1, p.c.k, p.c.in / p.c.groups, p.c.out));
}

/* dx = conv_transpose(y, g),  dy = conv(x, g), y the second input */
void peri__conv_weight_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  problem p;
  if (!read_weight(&p, peri_shape_of(x), peri_shape_of(y), &n->a.window)) return;
  if (peri_wanted(n, 0)) dx[0] = peri_conv_transpose(y, g, peri_number(0), window_of(&p, p.c.x));
  if (peri_wanted(n, 1)) dx[1] = peri_conv(x, g, peri_number(0), window_of(&p, NULL));
}
