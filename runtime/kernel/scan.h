/* First-order recurrences along an axis. */
#ifndef PERI_SCAN_H
#define PERI_SCAN_H

#include <stdbool.h>

#include "perigee/tensor.h"

/* On packed (outer, n, inner) arrays, accumulated in double from t = 1 up, or from n down when
   reverse:
     PERI__SUMS       y_t = y_{t-1} + x_t
     PERI__PRODUCTS   y_t = y_{t-1} x_t
     PERI__RECURRENCE y_t = a_t y_{t-1} + x_t, where the a of the first step is not read */
typedef enum { PERI__SUMS, PERI__PRODUCTS, PERI__RECURRENCE } peri__scan_kind;
void peri__scan (peri__scan_kind kind, int64_t outer, int64_t n, int64_t inner, bool reverse,
                 const peri_real *x, const peri_real *a, peri_real *y);

#endif
