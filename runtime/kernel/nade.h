/* The neural autoregressive distribution estimator: pure loops over packed arrays; no tensors. */
#ifndef PERI_NADE_H
#define PERI_NADE_H

#include "perigee/tensor.h"

/* x (batch, visible); w, v (visible, hidden); b (visible); c (hidden). */
typedef struct {
  int64_t batch, visible, hidden;
  const peri_real *w, *b, *v, *c;
} peri__nade;

/* y[i] = b[i] + v[i] . h[i] with h[i] = sigmoid(c + sum over j < i of w[j] x[j]).  Where u is
   given, x is drawn on the way, x[i] = 1 if u[i] < sigmoid(y[i]) else 0, and y may be NULL.  False
   when memory is short. */
bool peri__nade_forward_pass (const peri__nade *s, const peri_real *u, peri_real *x, peri_real *y);

/* The derivatives of the sum of g y; dx may be NULL. */
typedef struct { peri_real *x, *w, *b, *v, *c; } peri__nade_derivatives;
bool peri__nade_backward (const peri__nade *s, const peri_real *g, const peri_real *x,
                          const peri__nade_derivatives *d);

#endif
