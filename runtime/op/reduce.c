/* Reductions over axes, and what is built on them along one axis. */

#include "kernel/reduce.h"

#include "op/op.h"
#include "parallel.h"

/* x with the axes of mask last, packed; sizes of the others and of those in *outer and *n, or, when
   they already stand in one block, x packed with *inner behind them. */
static peri_tensor *arrange (peri_tensor *x, int mask, int64_t *outer, int64_t *n, int64_t *inner) {
  peri_dims order = {.n = x->ndim};
  int first = -1, last = -1, at = 0;
  bool block = true;
  *outer = *n = *inner = 1;
  for (int i = 0; i < x->ndim; i++) {
    if (!(mask >> i & 1)) continue;
    if (first < 0) first = i;
    else if (last != i - 1) block = false;
    last = i;
  }
  for (int i = 0; i < x->ndim; i++)
    *(mask >> i & 1 ? n : block && first >= 0 && i > last ? inner : outer) *= x->shape[i];
  if (block) return peri__packed(x);
  for (int i = 0; i < x->ndim; i++) if (!(mask >> i & 1)) order.at[at++] = i;
  for (int i = 0; i < x->ndim; i++) if (mask >> i & 1) order.at[at++] = i;
  peri_tensor *y = peri__view(x);
  for (int i = 0; y && i < order.n; i++) {
    y->shape[i] = x->shape[order.at[i]];
    y->stride[i] = x->stride[order.at[i]];
  }
  return peri__packed(y);
}

static peri_dims reduced_shape (const peri_tensor *x, int mask, bool keep) {
  peri_dims s = {.n = 0};
  for (int i = 0; i < x->ndim; i++) {
    if (!(mask >> i & 1)) s.at[s.n++] = x->shape[i];
    else if (keep) s.at[s.n++] = 1;
  }
  return s;
}

static peri_tensor *reduce (const peri_call *c, peri__fold fold, bool mean) {
  peri_tensor *x = c->in[0];
  int64_t outer, n, inner;
  const char *name = peri_ops[c->op].name;
  int mask = peri__axis_mask(name, c->a.dims, x->ndim);
  if (mask < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, reduced_shape(x, mask, c->a.keep));
  x = arrange(x, mask, &outer, &n, &inner);
  if (!y || !x) return NULL;
  if (n == 0 && y->count > 0 && (fold != PERI__SUM || mean)) {
    char text[PERI_SHAPETEXT];
    return peri_null(PERI_E_SHAPE, "%s: x of shape %s has no elements along the reduced axes", name,
                     peri_shape_text(c->in[0], text));
  }
  return peri__reduce(fold, x->data, outer, n, inner, mean ? 1 / (double) n : 1, y->data) ? y : NULL;
}

/* The reduced g of node n, spread over the input's shape again without a copy. */
static peri_tensor *spread (const peri_node *n, peri_tensor *g) {
  peri_dims in = peri_input_shape(n, 0), kept = in;
  int mask = peri__axis_mask("spread", n->a.dims, in.n);
  for (int i = 0; i < in.n; i++) if (mask >> i & 1) kept.at[i] = 1;
  return peri_expand(peri_reshape(g, kept), in);
}

peri_tensor *peri__sum_forward (const peri_call *c) {
  return reduce(c, PERI__SUM, false);
}
void peri__sum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = spread(n, g);
}

peri_tensor *peri__mean_forward (const peri_call *c) {
  return reduce(c, PERI__SUM, true);
}
void peri__mean_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  double k = (double) peri_count(n->shape) / (double) peri_count(peri_input_shape(n, 0));
  dx[0] = spread(n, scale(g, k));
}

/* dx = g / (number of ties) at each tie */
static void extreme_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *hit = peri_eq(peri_input(n, 0), spread(n, peri_detach(peri_output(n))));
  peri_tensor *one = peri_cast(hit, PERI_REAL);
  peri_tensor *ties = peri_sum(one, n->a.dims, n->a.keep);
  dx[0] = peri_mul(one, spread(n, peri_div(g, ties)));
}

peri_tensor *peri__max_forward (const peri_call *c) {
  return reduce(c, PERI__MAX, false);
}
void peri__max_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  extreme_vjp(n, g, dx);
}

peri_tensor *peri__min_forward (const peri_call *c) {
  return reduce(c, PERI__MIN, false);
}
void peri__min_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  extreme_vjp(n, g, dx);
}

/* m + log sum e^(x - m), m the largest finite entry or 0.  dx = g e^(x - y) */
peri_tensor *peri__logsumexp_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int mask = peri__axis_mask("logsumexp", c->a.dims, x->ndim);
  if (mask < 0) return NULL;
  bool was = peri_set_recording(false);
  peri_tensor *zero = peri_number(0), *m = peri_max(x, c->a.dims, true);
  m = peri_where(peri_is_finite(m), m, zero);
  peri_tensor *s = peri_log(peri_sum(peri_exp(peri_sub(x, m)), c->a.dims, true));
  peri_tensor *y = peri_add(m, s);
  if (!c->a.keep) y = peri_reshape(y, reduced_shape(x, mask, false));
  peri_set_recording(was);
  return y;
}
void peri__logsumexp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = spread(n, peri_output(n));
  dx[0] = peri_mul(spread(n, g), peri_exp(peri_sub(x, y)));
}

/* --- along one axis --- */

/* x - m, m the largest along the axis where that is finite: m is taken off before any logarithm is
   added, so large logits cost no digits. */
static peri_tensor *shift (peri_tensor *x, int axis) {
  peri_tensor *m = peri_max(x, one_axis(axis), true);
  return peri_sub(x, peri_where(peri_is_finite(m), m, peri_number(0)));
}

/* dx = y (g - sum g y) */
peri_tensor *peri__softmax_forward (const peri_call *c) {
  int axis = peri__axis("softmax", c->a.axis, c->in[0]->ndim);
  if (axis < 0) return NULL;
  bool was = peri_set_recording(false);
  peri_tensor *e = peri_exp(shift(c->in[0], axis));
  peri_tensor *y = peri_div(e, peri_sum(e, one_axis(axis), true));
  peri_set_recording(was);
  return y;
}
void peri__softmax_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n);
  dx[0] = peri_mul(y, peri_sub(g, peri_sum(peri_mul(g, y), one_axis(n->a.axis), true)));
}

/* dx = g - e^y sum g */
peri_tensor *peri__log_softmax_forward (const peri_call *c) {
  int axis = peri__axis("log_softmax", c->a.axis, c->in[0]->ndim);
  if (axis < 0) return NULL;
  bool was = peri_set_recording(false);
  peri_tensor *d = shift(c->in[0], axis);
  peri_tensor *y = peri_sub(d, peri_log(peri_sum(peri_exp(d), one_axis(axis), true)));
  peri_set_recording(was);
  return y;
}
void peri__log_softmax_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *total = peri_sum(g, one_axis(n->a.axis), true);
  dx[0] = peri_sub(g, peri_mul(peri_exp(peri_output(n)), total));
}

/* y_i = x_1 + ... + x_i, accumulated in double */
peri_tensor *peri__cumsum_forward (const peri_call *c) {
  int64_t outer, n, inner;
  int axis = peri__axis("cumsum", c->a.axis, c->in[0]->ndim);
  if (axis < 0) return NULL;
  peri_tensor *x = arrange(c->in[0], 1 << axis, &outer, &n, &inner);
  peri_tensor *y = x ? peri_empty(PERI_REAL, peri_shape_of(x)) : NULL;
  if (!y) return NULL;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const peri_real *p = (const peri_real *) x->data + o * n * inner + i;
      peri_real *q = (peri_real *) y->data + o * n * inner + i;
      double sum = 0;
      for (int64_t k = 0; k < n; k++) q[k * inner] = (peri_real) (sum += (double) p[k * inner]);
    }
  return y;
}
void peri__cumsum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis;
  dx[0] = peri_flip(peri_cumsum(peri_flip(g, axis), axis), axis);
}

static peri_tensor *arg_extreme (const peri_call *c, bool smallest) {
  int64_t outer, n, inner;
  peri_tensor *x = c->in[0];
  const char *name = peri_ops[c->op].name;
  int axis = peri__axis(name, c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_INDEX, reduced_shape(x, 1 << axis, false));
  x = arrange(x, 1 << axis, &outer, &n, &inner);
  if (!x || !y) return NULL;
  if (n == 0) return peri_null(PERI_E_SHAPE, "%s: axis %d of x is empty", name, axis + 1);
  peri__arg_extreme(smallest, x->data, outer, n, inner, y->data);
  return y;
}

peri_tensor *peri__argmax_forward (const peri_call *c) {
  return arg_extreme(c, false);
}

peri_tensor *peri__argmin_forward (const peri_call *c) {
  return arg_extreme(c, true);
}
