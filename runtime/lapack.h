/* The entry points of LAPACK that decompositions call, and batches of matrices shared among the
   threads.  LAPACK's matrices are stored by columns; each call runs on the calling thread. */
#ifndef PERI_LAPACK_H
#define PERI_LAPACK_H

#include "perigee/tensor.h"

/* A character argument is followed, at the end, by its length: Fortran's calling convention. */
typedef struct {
  void (*potrf) (const char *uplo, const int *n, peri_real *a, const int *lda, int *info, size_t);
  void (*getrf) (const int *m, const int *n, peri_real *a, const int *lda, int *pivot, int *info);
  void (*getrs) (const char *trans, const int *n, const int *nrhs, const peri_real *a,
                 const int *lda, const int *pivot, peri_real *b, const int *ldb, int *info, size_t);
  void (*getri) (const int *n, peri_real *a, const int *lda, const int *pivot, peri_real *work,
                 const int *lwork, int *info);
  void (*geqrf) (const int *m, const int *n, peri_real *a, const int *lda, peri_real *tau,
                 peri_real *work, const int *lwork, int *info);
  void (*orgqr) (const int *m, const int *n, const int *k, peri_real *a, const int *lda,
                 const peri_real *tau, peri_real *work, const int *lwork, int *info);
  void (*syevd) (const char *job, const char *uplo, const int *n, peri_real *a, const int *lda,
                 peri_real *values, peri_real *work, const int *lwork, int *iwork,
                 const int *liwork, int *info, size_t, size_t);
  void (*gesdd) (const char *job, const int *m, const int *n, peri_real *a, const int *lda,
                 peri_real *s, peri_real *u, const int *ldu, peri_real *vt, const int *ldvt,
                 peri_real *work, const int *lwork, int *iwork, int *info, size_t);
  /* of CBLAS, whose first argument says by rows (101) or by columns (102) */
  void (*trsm) (int order, int side, int uplo, int trans, int diag, int m, int n, peri_real alpha,
                const peri_real *a, int lda, peri_real *b, int ldb);
} peri__lapack_calls;

/* NULL with a failure naming `op` when the library is missing. */
const peri__lapack_calls *peri__lapack (const char *op);

/* Run f on matrices 0 .. count-1, each with `work` numbers of scratch that it may also use for
   integers.  f returns 0 or a number that says what is wrong.  Returns the first matrix that failed
   with its number in *wrong, count when none did, -1 with a failure when memory is short. */
int64_t peri__each_matrix (int64_t count, int64_t work,
                           int (*f) (const void *arg, int64_t matrix, peri_real *scratch),
                           const void *arg, int *wrong);

#endif
