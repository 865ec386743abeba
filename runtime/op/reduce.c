/* Reductions over axes, and what is built on them along one axis. */

#include "kernel/reduce.h"

#include "op/op.h"
#include "parallel.h"

/* x with the axes of mask last, packed; sizes of the others and of those in *outer and *n, or, when
   they already stand in one block, x packed with *inner behind them. */
peri_tensor *peri__arrange (peri_tensor *x, int mask, int64_t *outer, int64_t *n, int64_t *inner) {
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

peri_dims peri__reduced_shape (const peri_tensor *x, int mask, bool keep) {
  peri_dims s = {.n = 0};
  for (int i = 0; i < x->ndim; i++) {
    if (!(mask >> i & 1)) s.at[s.n++] = x->shape[i];
    else if (keep) s.at[s.n++] = 1;
  }
  return s;
}

/* Refuse an empty fold whose result is not empty. */
static bool has_elements (const peri_call *c, int64_t n, int64_t results) {
  char text[PERI_SHAPETEXT];
  if (n > 0 || results == 0) return true;
  peri_fail(PERI_E_SHAPE, "%s: x of shape %s has no elements along the reduced axes",
            peri_ops[c->op].name, peri_shape_text(c->in[0], text));
  return false;
}

/* correction is for PERI__VARIANCE. */
static peri_tensor *reduce (const peri_call *c, peri__fold fold, bool mean, double correction) {
  peri_tensor *x = c->in[0];
  int64_t outer, n, inner;
  int mask = peri__axis_mask(peri_ops[c->op].name, c->a.dims, x->ndim);
  if (mask < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri__reduced_shape(x, mask, c->a.keep));
  x = peri__arrange(x, mask, &outer, &n, &inner);
  if (!y || !x) return NULL;
  bool empty_is_fine = !mean && fold != PERI__MAX && fold != PERI__MIN && fold != PERI__VARIANCE;
  if (!empty_is_fine && !has_elements(c, n, y->count)) return NULL;
  if (fold == PERI__VARIANCE && !((double) n - correction > 0) && y->count > 0)
    return peri_null(PERI_E_ARGUMENT, "var: correction %g leaves nothing of the %lld element%s along "
                     "the reduced axes", correction, (long long) n, n == 1 ? "" : "s");
  double k = fold == PERI__VARIANCE ? (double) n - correction : mean ? (double) n : 1;
  return peri__reduce(fold, x->data, outer, n, inner, 1 / k, y->data) ? y : NULL;
}

/* The reduced g of node n, spread over the input's shape again without a copy. */
peri_tensor *peri__spread (const peri_node *n, peri_tensor *g) {
  peri_dims in = peri_input_shape(n, 0), kept = in;
  int mask = peri__axis_mask("spread", n->a.dims, in.n);
  for (int i = 0; i < in.n; i++) if (mask >> i & 1) kept.at[i] = 1;
  return peri_expand(peri_reshape(g, kept), in);
}

peri_tensor *peri__sum_forward (const peri_call *c) {
  return reduce(c, PERI__SUM, false, 0);
}
void peri__sum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri__spread(n, g);
}

peri_tensor *peri__mean_forward (const peri_call *c) {
  return reduce(c, PERI__SUM, true, 0);
}
void peri__mean_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  double k = (double) peri_count(n->shape) / (double) peri_count(peri_input_shape(n, 0));
  dx[0] = peri__spread(n, scale(g, k));
}

/* dx = g / (number of ties) at each tie */
static void extreme_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *hit = peri_eq(peri_input(n, 0), peri__spread(n, peri_detach(peri_output(n))));
  peri_tensor *one = peri_cast(hit, PERI_REAL);
  peri_tensor *ties = peri_sum(one, n->a.dims, n->a.keep);
  dx[0] = peri_mul(one, peri__spread(n, peri_div(g, ties)));
}

peri_tensor *peri__max_forward (const peri_call *c) {
  return reduce(c, PERI__MAX, false, 0);
}
void peri__max_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  extreme_vjp(n, g, dx);
}

peri_tensor *peri__min_forward (const peri_call *c) {
  return reduce(c, PERI__MIN, false, 0);
}
void peri__min_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  extreme_vjp(n, g, dx);
}

/* sum of (x - mean)^2 / (n - correction);  dx = g 2 (x - mean) / (n - correction) */
peri_tensor *peri__var_forward (const peri_call *c) {
  return reduce(c, PERI__VARIANCE, false, c->a.f[0]);
}
void peri__var_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *d = peri_sub(x, peri_mean(x, n->a.dims, true));
  double k = (double) peri_count(peri_input_shape(n, 0)) / (double) peri_count(n->shape);
  dx[0] = peri_mul(peri__spread(n, scale(g, 2 / (k - n->a.f[0]))), d);
}

/* sqrt(sum of x^2);  dx = g x / y, 0 where y = 0 */
peri_tensor *peri__norm_forward (const peri_call *c) {
  return reduce(c, PERI__NORM, false, 0);
}
void peri__norm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n), *zero = peri_number(0), *at_zero = peri_eq(y, zero);
  peri_tensor *q = peri_div(g, peri_where(at_zero, peri_number(1), y));
  dx[0] = peri_mul(peri__spread(n, peri_where(at_zero, zero, q)), peri_input(n, 0));
}

/* Products of all others along the last axis, by halving: e of the pairs' products gives those of
   each partner.  No division, so it holds at zeros, to any order. */
static peri_tensor *others (peri_tensor *x) {
  if (!x) return NULL;
  int64_t n = x->shape[x->ndim - 1], even = n & ~INT64_C(1);
  if (n < 2) return peri_full(PERI_REAL, peri_shape_of(x), 1);
  peri_tensor *a = peri_slice(x, -1, 0, even, 2), *b = peri_slice(x, -1, 1, even, 2);
  peri_tensor *last = even < n ? peri_slice(x, -1, even, n, 1) : NULL, *p = peri_mul(a, b);
  peri_tensor *e = others(last ? peri_concat(2, (peri_tensor *[]) {p, last}, -1) : p);
  peri_tensor *rest = peri_slice(e, -1, 0, even / 2, 1);
  peri_tensor *y = peri_add(peri_unslice(peri_mul(rest, b), -1, 0, 2, n),
                            peri_unslice(peri_mul(rest, a), -1, 1, 2, n));
  if (!last) return y;
  return peri_add(y, peri_unslice(peri_slice(e, -1, even / 2, even / 2 + 1, 1), -1, even, 1, n));
}

peri_tensor *peri__prod_forward (const peri_call *c) {
  return reduce(c, PERI__PROD, false, 0);
}
/* dx_i = g times the product of the others, over the reduced axes as one */
void peri__prod_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  peri_dims shape = peri_shape_of(x), order = {.n = shape.n}, back = order, moved = order;
  int mask = peri__axis_mask("prod", n->a.dims, shape.n), at = 0;
  int64_t kept = 1, folded = 1;
  for (int turn = 0; turn < 2; turn++)
    for (int i = 0; i < shape.n; i++)
      if ((mask >> i & 1) == turn) order.at[at++] = i;
  for (int i = 0; i < shape.n; i++) {
    back.at[order.at[i]] = i;
    moved.at[i] = shape.at[order.at[i]];
    *(mask >> i & 1 ? &folded : &kept) *= shape.at[i];
  }
  peri_tensor *e = others(peri_reshape(peri_permute(x, order), peri_shape(2, kept, folded)));
  dx[0] = peri_mul(peri__spread(n, g), peri_permute(peri_reshape(e, moved), back));
}

/* Is some element (every element) not 0?  Byte, of x of any dtype; NaN is not 0. */
static peri_tensor *test (const peri_call *c, peri__fold fold) {
  peri_tensor *x = c->in[0]->dtype == PERI_REAL ? c->in[0] : peri_cast(c->in[0], PERI_REAL);
  if (!x) return NULL;
  peri_call d = *c;
  d.in = &x;
  return peri_cast(reduce(&d, fold, false, 0), PERI_BYTE);
}

peri_tensor *peri__any_forward (const peri_call *c) {
  return test(c, PERI__ANY);
}

peri_tensor *peri__all_forward (const peri_call *c) {
  return test(c, PERI__ALL);
}

/* --- along one axis --- */

static peri_tensor *arg_extreme (const peri_call *c, bool smallest) {
  int64_t outer, n, inner;
  peri_tensor *x = c->in[0];
  const char *name = peri_ops[c->op].name;
  int axis = peri__axis(name, c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_INDEX, peri__reduced_shape(x, 1 << axis, false));
  x = peri__arrange(x, 1 << axis, &outer, &n, &inner);
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
