/* Sparse matrices along an axis: every result is a weighted sum of a few entries of that axis.
   Average pooling, resampling and padding are such matrices, one for each axis. */
#ifndef PERI_TAPS_H
#define PERI_TAPS_H

#include <stdbool.h>

#include "perigee/tensor.h"

/* m sums over an axis of n entries; sum i has taps start[i] .. start[i + 1] - 1. */
typedef struct {
  int64_t n, m, rows, room;             /* rows: finished so far; room: for taps */
  int64_t *start, *at;
  peri_real *weight;
} peri__taps;

/* false with a failure when memory is short. */
bool peri__taps_open (peri__taps *t, int64_t n, int64_t m, int64_t room);
void peri__taps_close (peri__taps *t);
/* Fill it from the first sum to the last: its taps, then the end of it. */
void peri__taps_add (peri__taps *t, int64_t at, double weight);
void peri__taps_end_row (peri__taps *t);
/* Replace the matrix by its transpose.  On failure nothing is changed. */
bool peri__taps_transpose (peri__taps *t);

/* y (outer, m, inner) from packed x (outer, n, inner). */
void peri__taps_apply (const peri__taps *t, int64_t outer, int64_t inner, const peri_real *x,
                       peri_real *y);

#endif
