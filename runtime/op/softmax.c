/* The softmax family along an axis, in fused kernels; their derivatives are operations too. */

#include "kernel/softmax.h"

#include <math.h>

#include "memory.h"
#include "op/op.h"

/* m + log sum e^(x - m), m the largest entry, or 0 where that is not finite.  dx = g e^(x - y) */
peri_tensor *peri__logsumexp_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int64_t outer, n, inner;
  int mask = peri__axis_mask("logsumexp", c->a.dims, x->ndim);
  if (mask < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri__reduced_shape(x, mask, c->a.keep));
  x = peri__arrange(x, mask, &outer, &n, &inner);
  if (!y || !x) return NULL;
  if (n == 0 && y->count > 0) {
    char text[PERI_SHAPETEXT];
    return peri_null(PERI_E_SHAPE, "logsumexp: x of shape %s has no elements along the reduced axes",
                     peri_shape_text(c->in[0], text));
  }
  if (y->count == 0) return y;
  size_t size = 2 * (size_t) y->count * sizeof(double);
  double *m = peri__alloc(size), *s = m + y->count;
  if (!m) return NULL;
  peri__exp_sums(x->data, outer, n, inner, m, s);
  for (int64_t i = 0; i < y->count; i++) ((peri_real *) y->data)[i] = (peri_real) (m[i] + log(s[i]));
  peri__free(m, size);
  return y;
}
void peri__logsumexp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri__spread(n, peri_output(n));
  dx[0] = peri_mul(peri__spread(n, g), peri_exp(peri_sub(x, y)));
}

typedef void line_kernel (const peri_real *x, int64_t outer, int64_t n, int64_t inner, peri_real *y);

static peri_tensor *along (const peri_call *c, line_kernel *f) {
  peri_tensor *x = c->in[0];
  int axis = peri__axis(peri_ops[c->op].name, c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(x));
  x = peri__packed(x);
  if (!x || !y) return NULL;
  axis_sizes s = sizes_around(x, axis);
  if (y->count > 0) f(x->data, s.outer, s.n, s.inner, y->data);
  return y;
}

/* dx = y (g - sum g y) */
peri_tensor *peri__softmax_forward (const peri_call *c) {
  return along(c, peri__softmax);
}
void peri__softmax_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_softmax_grad(g, peri_output(n), n->a.axis);
}

/* dx = g - e^y sum g */
peri_tensor *peri__log_softmax_forward (const peri_call *c) {
  return along(c, peri__log_softmax);
}
void peri__log_softmax_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_log_softmax_grad(g, peri_output(n), n->a.axis);
}

typedef void grad_kernel (const peri_real *g, const peri_real *y, int64_t outer, int64_t n,
                          int64_t inner, peri_real *u);

static peri_tensor *along_both (const peri_call *c, grad_kernel *f) {
  peri_tensor *g = c->in[0], *y = c->in[1];
  const char *name = peri_ops[c->op].name;
  int axis = peri__axis(name, c->a.axis, g->ndim);
  if (axis < 0) return NULL;
  if (!peri__same_shape(g, y)) {
    char tg[PERI_SHAPETEXT], ty[PERI_SHAPETEXT];
    return peri_null(PERI_E_SHAPE, "%s: g has shape %s and y %s; make them equal", name,
                     peri_shape_text(g, tg), peri_shape_text(y, ty));
  }
  peri_tensor *u = peri_empty(PERI_REAL, peri_shape_of(g));
  g = peri__packed(g);
  y = peri__packed(y);
  if (!g || !y || !u) return NULL;
  axis_sizes s = sizes_around(g, axis);
  if (u->count > 0) f(g->data, y->data, s.outer, s.n, s.inner, u->data);
  return u;
}

/* u = y (g - sum g y), symmetric in its derivative by g;  dy = h (g - sum g y) - g sum h y */
peri_tensor *peri__softmax_grad_forward (const peri_call *c) {
  return along_both(c, peri__softmax_grad);
}
void peri__softmax_grad_vjp (const peri_node *n, peri_tensor *h, peri_tensor **dx) {
  peri_tensor *g = peri_input(n, 0), *y = peri_input(n, 1);
  peri_dims axis = one_axis(n->a.axis);
  if (peri_wanted(n, 0)) dx[0] = peri_softmax_grad(h, y, n->a.axis);
  if (peri_wanted(n, 1)) {
    peri_tensor *gy = peri_sum(peri_mul(g, y), axis, true), *hy = peri_sum(peri_mul(h, y), axis, true);
    dx[1] = peri_sub(peri_mul(h, peri_sub(g, gy)), peri_mul(g, hy));
  }
}

/* u = g - e^y sum g;  dg = h - sum h e^y, dy = -h e^y sum g */
peri_tensor *peri__log_softmax_grad_forward (const peri_call *c) {
  return along_both(c, peri__log_softmax_grad);
}
void peri__log_softmax_grad_vjp (const peri_node *n, peri_tensor *h, peri_tensor **dx) {
  peri_tensor *g = peri_input(n, 0), *p = peri_mul(h, peri_exp(peri_input(n, 1)));
  peri_dims axis = one_axis(n->a.axis);
  if (peri_wanted(n, 0)) dx[0] = peri_sub(h, peri_sum(p, axis, true));
  if (peri_wanted(n, 1)) dx[1] = peri_neg(peri_mul(p, peri_sum(g, axis, true)));
}
