/* Matrix products with a side of at most four, which cost memory and not arithmetic. */
#ifndef PERI_SKINNY_H
#define PERI_SKINNY_H

#include "blas.h"

/* c = a b when one of m, n and k is at most four and beta is 0; false when it is not such a
   product, and nothing was done. */
bool peri__skinny (const peri__gemm_call *g);

#endif
