/* Trigonometric and hyperbolic functions beyond sin, cos and tanh, elementwise. */

#include "kernel/map.h"
#include "op/op.h"

/* dx = g (1 + y^2) */
PERI_MAP(tan, 1, vtan(x))
void peri__tan_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_add(peri_square(peri_output(n)), peri_number(1)));
}

/* 1 / sqrt(1 - x^2) */
static peri_tensor *arc_slope (peri_tensor *x) {
  peri_tensor *one = peri_number(1);
  return peri_rsqrt(peri_mul(peri_sub(one, x), peri_add(x, one)));
}

PERI_MAP(asin, 1, vasin(x))
void peri__asin_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, arc_slope(peri_input(n, 0)));
}

PERI_MAP(acos, 1, vacos(x))
void peri__acos_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_neg(peri_mul(g, arc_slope(peri_input(n, 0))));
}

PERI_MAP(atan, 1, vatan(x))
void peri__atan_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_div(g, peri_add(peri_square(peri_input(n, 0)), peri_number(1)));
}

/* The angle of the point (y, x), as C's atan2(x, y).  dx = g y / (x^2 + y^2), dy = -g x / .. */
PERI_MAP(atan2, 2, vatan2(x, y))
void peri__atan2_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  peri_tensor *d = peri_div(g, peri_add(peri_square(x), peri_square(y)));
  if (peri_wanted(n, 0)) dx[0] = peri_mul(d, y);
  if (peri_wanted(n, 1)) dx[1] = peri_neg(peri_mul(d, x));
}

PERI_MAP(sinh, 1, vsinh(x))
void peri__sinh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_cosh(peri_input(n, 0)));
}

PERI_MAP(cosh, 1, vcosh(x))
void peri__cosh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_sinh(peri_input(n, 0)));
}

PERI_MAP(asinh, 1, vasinh(x))
void peri__asinh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_rsqrt(peri_add(peri_square(peri_input(n, 0)), peri_number(1))));
}

PERI_MAP(atanh, 1, vatanh(x))
void peri__atanh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *one = peri_number(1);
  dx[0] = peri_div(g, peri_mul(peri_sub(one, x), peri_add(x, one)));
}

/* dx = g / (x log 2) */
PERI_MAP(log2, 1, vlog2(x))
void peri__log2_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_div(scale(g, 1.44269504088896340736), peri_input(n, 0));
}
