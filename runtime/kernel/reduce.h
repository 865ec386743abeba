/* Reductions over packed arrays, in a fixed order.  Pure loops; no tensors. */
#ifndef PERI_REDUCE_H
#define PERI_REDUCE_H

#include "perigee/tensor.h"

/* VARIANCE: the sum of (x - mean)^2; NORM: sqrt of the sum of x^2; ANY, ALL: 1 or 0 from x != 0. */
typedef enum { PERI__SUM, PERI__MAX, PERI__MIN, PERI__PROD, PERI__VARIANCE, PERI__NORM, PERI__ANY,
               PERI__ALL } peri__fold;

/* x is (outer, n, inner), packed; y is (outer, inner).  Sums accumulate in double, in chunks that
   depend on the sizes only.  n >= 1 for MAX and MIN; NaN wins.  `scale` multiplies sums and
   variances at the end.
   False when memory for partial results is short. */
bool peri__reduce (peri__fold fold, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                   double scale, peri_real *y);

/* Index (from 1) of the first largest (or smallest) along n; NaN counts as largest and smallest. */
void peri__arg_extreme (bool smallest, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                        int32_t *y);

#endif
