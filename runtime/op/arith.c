/* Arithmetic, elementwise with broadcasting.  Each formula stands over its derivative, which is
   made of operations and can be differentiated again. */

#include "kernel/map.h"
#include "op/op.h"

PERI_MAP(add, 2, x + y)
void peri__add_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  (void) n;
  dx[0] = dx[1] = g;
}

PERI_MAP(sub, 2, x - y)
void peri__sub_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = g;
  if (peri_wanted(n, 1)) dx[1] = peri_neg(g);
}

PERI_MAP(mul, 2, x * y)
void peri__mul_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  if (peri_wanted(n, 0)) dx[0] = peri_mul(g, peri_input(n, 1));
  if (peri_wanted(n, 1)) dx[1] = peri_mul(g, peri_input(n, 0));
}

/* dx = g / y,  dy = -(g / y) (x / y) */
PERI_MAP(div, 2, x / y)
void peri__div_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1), *q = peri_div(g, y);
  dx[0] = q;
  if (peri_wanted(n, 1)) dx[1] = peri_neg(peri_mul(q, peri_div(x, y)));
}

/* dx = g y x^(y - 1), 0 where y = 0;  dy = g x^y log x, 0 where x = 0 */
PERI_MAP(pow, 2, vpow(x, y))
void peri__pow_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1), *zero = peri_number(0);
  if (peri_wanted(n, 0)) {
    peri_tensor *d = peri_mul(peri_mul(g, y), peri_pow(x, peri_sub(y, peri_number(1))));
    dx[0] = peri_where(peri_eq(y, zero), zero, d);
  }
  if (peri_wanted(n, 1)) {
    peri_tensor *at_zero = peri_eq(x, zero);
    peri_tensor *l = peri_log(peri_where(at_zero, peri_number(1), x));
    dx[1] = peri_mul(g, peri_mul(peri_pow(x, y), l));
  }
}

static void pick_vjp (const peri_node *n, peri_tensor *g, peri_tensor *first, peri_tensor **dx) {
  peri_tensor *zero = peri_number(0);
  if (peri_wanted(n, 0)) dx[0] = peri_where(first, g, zero);
  if (peri_wanted(n, 1)) dx[1] = peri_where(first, zero, g);
}

PERI_MAP(maximum, 2, vmax(x, y))
void peri__maximum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  pick_vjp(n, g, peri_ge(peri_input(n, 0), peri_input(n, 1)), dx);
}

PERI_MAP(minimum, 2, vmin(x, y))
void peri__minimum_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  pick_vjp(n, g, peri_le(peri_input(n, 0), peri_input(n, 1)), dx);
}

PERI_MAP(neg, 1, -x)
void peri__neg_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  (void) n;
  dx[0] = peri_neg(g);
}

PERI_MAP(abs, 1, vabs(x))
void peri__abs_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_sign(peri_input(n, 0)));
}

PERI_MAP(square, 1, x * x)
void peri__square_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = scale(peri_mul(g, peri_input(n, 0)), 2);
}

/* dx = -g y^2 */
PERI_MAP(reciprocal, 1, 1 / x)
void peri__reciprocal_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_neg(peri_mul(g, peri_square(peri_output(n))));
}

/* dx = g / (2 y) */
PERI_MAP(sqrt, 1, vsqrt(x))
void peri__sqrt_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_div(g, scale(peri_output(n), 2));
}

/* dx = -g y^3 / 2 */
PERI_MAP(rsqrt, 1, 1 / vsqrt(x))
void peri__rsqrt_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n);
  dx[0] = peri_mul(scale(g, -0.5), peri_mul(y, peri_square(y)));
}

PERI_MAP(exp, 1, vexp(x))
void peri__exp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_output(n));
}

PERI_MAP(expm1, 1, vexpm1(x))
void peri__expm1_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_add(peri_output(n), peri_number(1)));
}

PERI_MAP(log, 1, vlog(x))
void peri__log_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_div(g, peri_input(n, 0));
}

PERI_MAP(log1p, 1, vlog1p(x))
void peri__log1p_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_div(g, peri_add(peri_input(n, 0), peri_number(1)));
}

PERI_MAP(sin, 1, vsin(x))
void peri__sin_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_cos(peri_input(n, 0)));
}

PERI_MAP(cos, 1, vcos(x))
void peri__cos_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_neg(peri_mul(g, peri_sin(peri_input(n, 0))));
}

/* dx = g 2 / sqrt(pi) exp(-x^2) */
PERI_MAP(erf, 1, verf(x))
void peri__erf_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *bell = peri_exp(peri_neg(peri_square(peri_input(n, 0))));
  dx[0] = peri_mul(g, scale(bell, 1.12837916709551257390));
}

PERI_MAP(clamp, 1, vmin(vmax(x, a), b))
void peri__clamp_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *zero = peri_number(0);
  peri_tensor *d = peri_where(peri_ge(x, peri_number(n->a.f[0])), g, zero);
  dx[0] = peri_where(peri_le(x, peri_number(n->a.f[1])), d, zero);
}
