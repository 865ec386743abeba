/* Normalisation over groups of channels, forward and backward: pure loops; no tensors. */
#ifndef PERI_NORMALIZE_H
#define PERI_NORMALIZE_H

#include "perigee/tensor.h"

/* x is (batch, rows, groups, width), packed; mean and variance are those of one (batch, group) over
   its rows x width numbers.  Layer normalisation has rows = groups = 1, batch normalisation
   batch = width = 1.  Not centred: the mean square is in the variance's place; rows must be 1. */
typedef struct {
  int64_t batch, rows, groups, width;
  bool centred;
  double eps;
} peri__norm;

/* y = (x - mean) / sqrt(variance + eps) w + b;  w and b have groups * width numbers.  Statistics
   are accumulated in double, in an order fixed by the sizes.  False when memory is short. */
bool peri__normalize (const peri__norm *s, const peri_real *x, const peri_real *w,
                      const peri_real *b, peri_real *y);

/* With h the normalised x, r = 1 / sqrt(variance + eps), p = g w and means over a group:
   dx = r (p - mean p - h mean(p h)), dw = sum of g h, db = sum of g.  The mean of p stays out when
   not centred.  Recomputes the statistics in the pass that sums, so that nothing need be kept. */
bool peri__normalize_grad (const peri__norm *s, const peri_real *g, const peri_real *x,
                           const peri_real *w, peri_real *dx, peri_real *dw, peri_real *db);

/* y is (2, width): mean and variance (divided by n) of each column of x (n, width). */
bool peri__column_moments (const peri_real *x, int64_t n, int64_t width, peri_real *y);

/* The two ways to do it: rows = 1, where a group lies in one run; and rows > 1, by columns. */
bool peri__normalize_rows (const peri__norm *s, const peri_real *x, const peri_real *w,
                           const peri_real *b, peri_real *y);
bool peri__normalize_rows_grad (const peri__norm *s, const peri_real *g, const peri_real *x,
                                const peri_real *w, peri_real *dx, peri_real *dw, peri_real *db);

#endif
