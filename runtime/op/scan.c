/* Running sums, products and first-order recurrences along an axis. */

#include "kernel/scan.h"

#include "op/op.h"

static peri_tensor *scan (const peri_call *c, peri__scan_kind kind, peri_tensor *x, peri_tensor *a) {
  int axis = peri__axis(peri_ops[c->op].name, c->a.axis, x->ndim);
  int64_t outer = 1, inner = 1;
  if (axis < 0) return NULL;
  for (int i = 0; i < axis; i++) outer *= x->shape[i];
  for (int i = axis + 1; i < x->ndim; i++) inner *= x->shape[i];
  int64_t n = x->shape[axis];
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(x));
  x = peri__packed(x);
  if (a) a = peri__packed(a);
  if (!x || !y || (kind == PERI__RECURRENCE && !a)) return NULL;
  peri__scan(kind, outer, n, inner, c->a.keep, x->data, a ? a->data : NULL, y->data);
  return y;
}

/* y_t = x_1 + ... + x_t, accumulated in double */
peri_tensor *peri__cumsum_forward (const peri_call *c) {
  return scan(c, PERI__SUMS, c->in[0], NULL);
}
void peri__cumsum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis;
  dx[0] = peri_flip(peri_cumsum(peri_flip(g, axis), axis), axis);
}

/* x moved by one along the axis, up or down; zero where nothing comes in */
static peri_tensor *shift (peri_tensor *x, int axis, bool down) {
  if (!x) return NULL;
  int64_t size = x->shape[axis < 0 ? axis + x->ndim : axis];
  if (size == 0) return x;
  x = peri_slice(x, axis, down ? 1 : 0, down ? size : size - 1, 1);
  return peri_unslice(x, axis, size > 1 && !down, 1, size);
}

/* y_t = x_1 x_2 ... x_t.
   No quotient y / x: the adjoint of y runs back, h_t = g_t + x_{t+1} h_{t+1}, and dx_t = h_t y_{t-1},
   so that any number of zeros in x is right, to any order. */
peri_tensor *peri__cumprod_forward (const peri_call *c) {
  return scan(c, PERI__PRODUCTS, c->in[0], NULL);
}
void peri__cumprod_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis;
  peri_tensor *x = peri_input(n, 0), *h = peri_linear_scan(g, shift(x, axis, true), axis, true);
  peri_dims one = n->shape;
  int at = axis < 0 ? axis + one.n : axis;
  if (one.at[at] == 0) {
    dx[0] = g;
    return;
  }
  one.at[at] = 1;
  peri_tensor *before = peri_slice(peri_output(n), axis, 0, n->shape.at[at] - 1, 1);
  before = peri_concat(2, (peri_tensor *[]) {peri_full(PERI_REAL, one, 1), before}, axis);
  dx[0] = peri_mul(h, before);
}

/* y_t = a_t y_{t-1} + x_t, y_0 = 0; reverse: y_t = a_t y_{t+1} + x_t, y_{n+1} = 0.
   u = dx runs the other way, u_t = g_t + a_{t+1} u_{t+1}, and da_t = u_t y_{t-1}. */
peri_tensor *peri__linear_scan_forward (const peri_call *c) {
  peri_dims shape;
  if (!peri__broadcast("linear_scan", 2, c->in, &shape)) return NULL;
  peri_tensor *x = peri__expand_to(c->in[0], shape), *a = peri__expand_to(c->in[1], shape);
  return x && a ? scan(c, PERI__RECURRENCE, x, a) : NULL;
}
void peri__linear_scan_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis;
  bool reverse = n->a.keep;
  peri_tensor *a = peri_expand(peri_input(n, 1), n->shape);
  peri_tensor *u = peri_linear_scan(g, shift(a, axis, !reverse), axis, !reverse);
  dx[0] = u;
  if (peri_wanted(n, 1)) dx[1] = peri_mul(u, shift(peri_output(n), axis, reverse));
}
