/* What follows a matrix product while its rows are still in the cache. */
#ifndef PERI_EPILOGUE_H
#define PERI_EPILOGUE_H

#include "perigee/tensor.h"

/* In the order of the words in PERI_DENSE's signature. */
typedef enum { PERI__RELU, PERI__LEAKY_RELU, PERI__TANH, PERI__SIGMOID, PERI__IDENTITY } peri__act;

/* y = act(y + b) on rows of n numbers that are `step` apart; b is one row.  slope is leaky_relu's. */
void peri__epilogue (peri__act act, int64_t rows, int64_t n, const peri_real *b, double slope,
                     peri_real *y, int64_t step);

#endif
