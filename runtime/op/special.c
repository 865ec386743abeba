/* Special functions, elementwise: of the normal distribution, gamma and Bessel functions.  In
   double they are within a few units of the last place of the exact value, except that digamma,
   lgamma and polygamma below 0 and log_ndtr and log1mexp near their zeros are so in absolute
   terms. */

#include <math.h>

#include "kernel/map.h"
#include "kernel/special.h"
#include "op/op.h"

/* --- the normal distribution --- */

PERI_MAP(ndtr, 1, vndtr(x))
void peri__ndtr_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *bell = peri_exp(scale(peri_square(peri_input(n, 0)), -0.5));
  dx[0] = peri_mul(g, scale(bell, 0.39894228040143267794));
}

PERI_MAP(log_ndtr, 1, vlog_ndtr(x))
void peri__log_ndtr_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_ndtr_hazard(peri_input(n, 0)));
}

/* h = phi / Phi, which is near -x in the left tail;  h' = -h (x + h) */
PERI_MAP(ndtr_hazard, 1, vhazard(x))
void peri__ndtr_hazard_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *h = peri_output(n);
  dx[0] = peri_neg(peri_mul(g, peri_mul(h, peri_add(peri_input(n, 0), h))));
}

/* dx = g / phi(y) */
PERI_MAP(ndtri, 1, vquantile(x - K(0.5), vmin(x, 1 - x)))
void peri__ndtri_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *d = peri_exp(scale(peri_square(peri_output(n)), 0.5));
  dx[0] = peri_mul(g, scale(d, 2.50662827463100050242));
}

/* ndtri((1 + x) / 2) / sqrt(2), without the rounding of 1 + x;  dx = g sqrt(pi)/2 e^(y^2) */
PERI_MAP(erfinv, 1, SQRT_HALF * vquantile(K(0.5) * x, K(0.5) * (1 - vabs(x))))
void peri__erfinv_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *d = peri_exp(peri_square(peri_output(n)));
  dx[0] = peri_mul(g, scale(d, 0.88622692545275801365));
}

/* --- the gamma function --- */

PERI_MAP(lgamma, 1, vlgamma(x))
void peri__lgamma_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_digamma(peri_input(n, 0)));
}

PERI_MAP(digamma, 1, vdigamma(x))
void peri__digamma_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_polygamma(peri_input(n, 0), 1));
}

static void polygamma_loop (int64_t n, const peri_real *const *in, const double *arg,
                            peri_real *out) {
  int order = (int) arg[0];
  for (int64_t i = 0; i < n; i++) out[i] = (peri_real) peri__polygamma(order, (double) in[0][i]);
}

peri_tensor *peri__polygamma_forward (const peri_call *c) {
  peri_call d = *c;
  int64_t order = c->a.i[0];
  if (order < 0 || order > PERI__MAXORDER)
    return peri_null(PERI_E_ARGUMENT, "polygamma: order is %lld, outside 0..%d", (long long) order,
                     PERI__MAXORDER);
  if (order == 0) return peri__digamma_forward(c);
  d.a.f[0] = (double) order;
  return peri__map(&d, polygamma_loop, PERI_REAL);
}
void peri__polygamma_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_polygamma(peri_input(n, 0), n->a.i[0] + 1));
}

/* --- Bessel functions of the first kind with imaginary argument, orders 0 and 1 --- */

/* dx = g (i1e - sign(x) i0e) */
PERI_MAP(i0e, 1, vi0e(x))
void peri__i0e_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  dx[0] = peri_mul(g, peri_sub(peri_i1e(x), peri_mul(peri_sign(x), peri_output(n))));
}

/* dx = g (i0e - i1e / x - sign(x) i1e), i1e / x being 1/2 at 0 */
PERI_MAP(i1e, 1, vi1e(x))
void peri__i1e_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_output(n), *at_zero = peri_eq(x, peri_number(0));
  peri_tensor *slope = peri_div(y, peri_where(at_zero, peri_number(1), x));
  slope = peri_where(at_zero, peri_number(0.5), slope);
  peri_tensor *d = peri_sub(peri_sub(peri_i0e(x), slope), peri_mul(peri_sign(x), y));
  dx[0] = peri_mul(g, d);
}

/* dx = g I1(x) / I0(x) */
PERI_MAP(log_i0, 1, vlog_i0(x))
void peri__log_i0_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  dx[0] = peri_mul(g, peri_div(peri_i1e(x), peri_i0e(x)));
}

/* --- logarithms of sums and differences --- */

/* Equal infinities differ by 0.  dx = g sigmoid(x - y), dy = g sigmoid(y - x) */
#define DIFFERENCE(x, y) vselect(x == y, zero, x - y)
PERI_MAP(logaddexp, 2, vmax(x, y) + vlog1p(vexp(-vabs(DIFFERENCE(x, y)))))
void peri__logaddexp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  peri_tensor *d = peri_sub(x, y), *up = peri_cast(peri_gt(x, y), PERI_REAL);
  peri_tensor *order = peri_sub(up, peri_cast(peri_lt(x, y), PERI_REAL));
  d = peri_where(peri_is_finite(d), d, scale(order, 1e30));      /* infinities: 1 and 0, or halves */
  if (peri_wanted(n, 0)) dx[0] = peri_mul(g, peri_sigmoid(d));
  if (peri_wanted(n, 1)) dx[1] = peri_mul(g, peri_sigmoid(peri_neg(d)));
}

/* log(1 - e^x), x < 0: by expm1 near 0, by log1p far from it  (Maechler 2012).
   dx = -g / (e^-x - 1) */
PERI_MAP(log1mexp, 1, vselect(x > K(-0.69314718055994530942), vlog(-vexpm1(x)), vlog1p(-vexp(x))))
void peri__log1mexp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_neg(peri_div(g, peri_expm1(peri_neg(peri_input(n, 0)))));
}

/* Around 1/2, where 2 x - 1 is exact, as log1p((2 x - 1) / (1 - x)).  dx = g / (x (1 - x)) */
PERI_MAP(logit, 1, vselect(vabs(x - K(0.5)) < K(0.25), vlog1p((2 * x - 1) / (1 - x)),
                           vlog(x / (1 - x))))
void peri__logit_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  dx[0] = peri_div(g, peri_mul(x, peri_sub(peri_number(1), x)));
}
