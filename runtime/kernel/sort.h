/* Sorting of rows. */
#ifndef PERI_SORT_H
#define PERI_SORT_H

#include <stdbool.h>

#include "perigee/tensor.h"

/* The order of the axis of packed x (outer, n, inner): values and places (from 1) of its first k
   entries, stable, NaN last whatever the direction.  y and place are (outer, k, inner), either may be
   NULL.  false when memory is short. */
bool peri__sort (const peri_real *x, int64_t outer, int64_t n, int64_t inner, bool descending,
                 int64_t k, peri_real *y, int32_t *place);

#endif
