/* Convolution as matrix products of gathered rows: for any sizes, in float and double. */
#ifndef PERI_IM2COL_H
#define PERI_IM2COL_H

#include "convolution/convolution.h"

/* Numbers of scratch that a task of this size needs. */
size_t peri__im2col_scratch (const peri__conv *c);
/* Compute it on the calling thread. */
void peri__im2col (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                   peri_real *y, const peri_real *bias, peri_real *scratch);

/* One channel in and one out per group: a loop over channels. */
void peri__depthwise (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                      peri_real *y, const peri_real *bias);

/* rows of `n` numbers, each a copy of bias or, where that is NULL, zeros. */
void peri__fill_rows (peri_real *to, int64_t rows, int64_t n, const peri_real *bias);
/* Add to each of `rows` rows the same n numbers. */
void peri__add_rows (peri_real *to, int64_t rows, int64_t n, const peri_real *add);

#endif
