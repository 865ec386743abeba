/* Rows and columns of the softmax family: what goes through memory once when a row fits the
   cache. */
#ifndef PERI_SOFTMAX_H
#define PERI_SOFTMAX_H

#include "perigee/tensor.h"

/* x is packed (outer, n, inner) with n > 0, and so is y but where it says otherwise.  A maximum
   that is not finite counts as 0. */
void peri__softmax (const peri_real *x, int64_t outer, int64_t n, int64_t inner, peri_real *y);
void peri__log_softmax (const peri_real *x, int64_t outer, int64_t n, int64_t inner, peri_real *y);

/* m the largest of each line and s the sum of e^(x - m), both (outer, inner). */
void peri__exp_sums (const peri_real *x, int64_t outer, int64_t n, int64_t inner, double *m,
                     double *s);

/* u = y (g - sum g y);  u = g - e^y sum g */
void peri__softmax_grad (const peri_real *g, const peri_real *y, int64_t outer, int64_t n,
                         int64_t inner, peri_real *u);
void peri__log_softmax_grad (const peri_real *g, const peri_real *y, int64_t outer, int64_t n,
                             int64_t inner, peri_real *u);

/* u = z e^(x - m) / s, z (outer, inner): the softmax times a number for each line. */
void peri__softmax_scaled (const peri_real *x, const double *m, const double *s, const peri_real *z,
                           int64_t outer, int64_t n, int64_t inner, peri_real *u);

#endif
