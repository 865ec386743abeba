/* Activations and the losses that are elementwise.  Where a derivative is on the path of every
   training step it is an operation of its own (sigmoid_grad, ...), with a derivative in turn. */

#include "kernel/map.h"
#include "kernel/special.h"
#include "op/op.h"

PERI_MAP(relu, 1, vmax(x, zero))
void peri__relu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_relu_grad(g, peri_output(n));
}

PERI_MAP(relu_grad, 2, vselect(y > 0, x, zero))
void peri__relu_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  if (peri_wanted(n, 0)) dx[0] = peri_relu_grad(g, peri_input(n, 1));
}

PERI_MAP(leaky_relu, 1, vselect(x > 0, x, a * x))
void peri__leaky_relu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_leaky_relu_grad(g, peri_input(n, 0), n->a.f[0]);
}

PERI_MAP(leaky_relu_grad, 2, vselect(y > 0, x, a * x))
void peri__leaky_relu_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  if (peri_wanted(n, 0)) dx[0] = peri_leaky_relu_grad(g, peri_input(n, 1), n->a.f[0]);
}

/* dx = g where x > 0, else g (y + scale), since scale e^x = y + scale */
PERI_MAP(elu, 1, vselect(x > 0, x, a * vexpm1(vmin(x, zero))))
void peri__elu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n);
  peri_tensor *low = peri_mul(g, peri_add(y, peri_number(n->a.f[0])));
  dx[0] = peri_where(peri_gt(peri_input(n, 0), peri_number(0)), g, low);
}

PERI_MAP(sigmoid, 1, 1 / (1 + vexp(-x)))
void peri__sigmoid_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_sigmoid_grad(g, peri_output(n));
}

/* u = x y (1 - y): du/dx = y (1 - y), du/dy = x (1 - 2 y) */
PERI_MAP(sigmoid_grad, 2, x * y * (1 - y))
void peri__sigmoid_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_sigmoid_grad(g, y);
  if (peri_wanted(n, 1))
    dx[1] = peri_mul(peri_mul(g, x), peri_sub(peri_number(1), scale(y, 2)));
}

PERI_MAP(tanh, 1, vtanh(x))
void peri__tanh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_tanh_grad(g, peri_output(n));
}

/* u = x (1 - y^2): du/dx = 1 - y^2, du/dy = -2 x y */
PERI_MAP(tanh_grad, 2, x * (1 - y * y))
void peri__tanh_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_tanh_grad(g, y);
  if (peri_wanted(n, 1)) dx[1] = scale(peri_mul(peri_mul(g, x), y), -2);
}

/* max(x, 0) + log(1 + e^-|x|) cannot overflow */
#define SOFTPLUS(x) (vmax(x, zero) + vlog1p(vexp(-vabs(x))))

PERI_MAP(softplus, 1, SOFTPLUS(x))
void peri__softplus_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_sigmoid(peri_input(n, 0)));
}

PERI_MAP(log_sigmoid, 1, -SOFTPLUS(-x))
void peri__log_sigmoid_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_mul(g, peri_sigmoid(peri_neg(peri_input(n, 0))));
}

PERI_MAP(silu, 1, x / (1 + vexp(-x)))
void peri__silu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_silu_grad(g, peri_input(n, 0));
}

/* u = x (s + y s (1 - s)), s = sigmoid(y): du/dy = x s (1 - s) (2 + y (1 - 2 s)) */
PERI_MAP(silu_grad, 2, x * (1 + y * (1 - 1 / (1 + vexp(-y)))) / (1 + vexp(-y)))
void peri__silu_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_silu_grad(g, y);
  if (!peri_wanted(n, 1)) return;
  peri_tensor *s = peri_sigmoid(y);
  peri_tensor *slope = peri_add(peri_number(2), peri_mul(y, peri_sub(peri_number(1), scale(s, 2))));
  dx[1] = peri_mul(peri_sigmoid_grad(peri_mul(g, x), s), slope);
}

/* x Phi(x)   (Hendrycks & Gimpel 2016) */
PERI_MAP(gelu, 1, x * vndtr(x))
void peri__gelu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_gelu_grad(g, peri_input(n, 0));
}

/* u = x (Phi(y) + y phi(y)): du/dy = x phi(y) (2 - y^2) */
PERI_MAP(gelu_grad, 2,
         x * (vndtr(y) + y * (K(0.39894228040143267794) * vexp(K(-0.5) * y * y))))
void peri__gelu_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_gelu_grad(g, y);
  if (!peri_wanted(n, 1)) return;
  peri_tensor *square = peri_square(y);
  peri_tensor *pdf = scale(peri_exp(scale(square, -0.5)), 0.39894228040143267794);
  dx[1] = peri_mul(peri_mul(g, x), peri_mul(pdf, peri_sub(peri_number(2), square)));
}

/* 0.5 x (1 + tanh u) = x sigmoid(2 u), u = c (x + a x^3)  (Hendrycks & Gimpel 2016).
   dx = g (s + x s (1 - s) 2 c (1 + 3 a x^2)) */
PERI_MAP(gelu_tanh, 1,
         x / (1 + vexp(K(-1.59576912160573071176) * (x + K(0.044715) * (x * x * x)))))
void peri__gelu_tanh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *q = peri_square(x), *one = peri_number(1);
  peri_tensor *u = peri_mul(x, peri_add(one, scale(q, 0.044715)));
  peri_tensor *s = peri_sigmoid(scale(u, 1.59576912160573071176));
  peri_tensor *du = scale(peri_add(one, scale(q, 3 * 0.044715)), 1.59576912160573071176);
  dx[0] = peri_mul(g, peri_add(s, peri_mul(peri_sigmoid_grad(x, s), du)));
}

/* Klambauer et al. 2017.  dx = g s where x > 0, else g (y + s a) */
#define SELU_SCALE 1.05070098735548049342
#define SELU_SCALE_ALPHA 1.75809934084737685994
PERI_MAP(selu, 1, vselect(x > 0, K(SELU_SCALE) * x, K(SELU_SCALE_ALPHA) * vexpm1(vmin(x, zero))))
void peri__selu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *low = peri_mul(g, peri_add(peri_output(n), peri_number(SELU_SCALE_ALPHA)));
  peri_tensor *up = peri_gt(peri_input(n, 0), peri_number(0));
  dx[0] = peri_where(up, scale(g, SELU_SCALE), low);
}

/* Limited, so that infinity gives 1.  dx = g / (1 + |x|)^2 */
#define LIMIT(x) vmin(vmax(x, zero + K(-1e30)), zero + K(1e30))
PERI_MAP(softsign, 1, LIMIT(x) / (1 + vabs(LIMIT(x))))
void peri__softsign_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *below = peri_add(peri_abs(peri_input(n, 0)), peri_number(1));
  dx[0] = peri_div(g, peri_square(below));
}

PERI_MAP(bce_logits, 2, SOFTPLUS(x) - x * y)
void peri__bce_logits_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_bce_grad(x, y, g);
  if (peri_wanted(n, 1)) dx[1] = peri_neg(peri_mul(g, x));
}

/* u = z (sigmoid(x) - y): du/dx = z s (1 - s), du/dy = -z, du/dz = s - y */
PERI_MAP(bce_grad, 3, z * (1 / (1 + vexp(-x)) - y))
void peri__bce_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1), *z = peri_input(n, 2);
  if (peri_wanted(n, 0)) dx[0] = peri_sigmoid_grad(peri_mul(g, z), peri_sigmoid(x));
  if (peri_wanted(n, 1)) dx[1] = peri_neg(peri_mul(g, z));
  if (peri_wanted(n, 2)) dx[2] = peri_bce_grad(x, y, g);
}
