/* OpenBLAS, loaded when first needed so that it can be told which kernels to use. */
#ifndef PERI_BLAS_H
#define PERI_BLAS_H

#include "perigee/tensor.h"

/* c = a b + beta c, row-major; ta, tb: the operand is stored transposed.  Runs on the calling
   thread. */
typedef struct {
  bool ta, tb;
  int64_t m, n, k;
  const peri_real *a, *b;
  int64_t lda, ldb;
  peri_real beta, *c;
  int64_t ldc;
} peri__gemm_call;

/* false with a failure when the library is missing. */
bool peri__blas_ready (void);
void peri__gemm (const peri__gemm_call *g);

/* A function of OpenBLAS by its name, NULL when the library or the function is missing. */
void *peri__blas_find (const char *symbol);
/* Held around calls of OpenBLAS by a build that cannot be called from two threads at once: true then,
   and the calls must be made by this thread alone.  Does nothing for other builds. */
bool peri__blas_lock (void);
void peri__blas_unlock (void);

#endif
