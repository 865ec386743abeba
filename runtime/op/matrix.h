/* What decompositions share: the matrices in the last two axes of a tensor, loaded as LAPACK wants
   them, a complaint about one of them, and the few constant matrices that derivatives multiply by. */
#ifndef PERI_MATRIX_H
#define PERI_MATRIX_H

#include "lapack.h"
#include "op/op.h"

/* The matrices of x, which errors of `op` call `name`. */
typedef struct {
  const char *op, *name;
  peri_tensor *x;
  peri_layout batch;            /* axes before the last two */
  int64_t count, rows, columns;
  int64_t down, across;         /* strides */
} peri__matrices;

/* One LAPACK job on every matrix: what it reads, where it writes, its workspace. */
typedef struct {
  peri__matrices m;
  const peri__lapack_calls *lapack;
  peri_real *y;
  int lwork, liwork;
} peri__matrix_job;

/* Given instead of LAPACK's number by a matrix with NaN or infinity, on which some routines never
   end. */
enum { PERI__NOT_FINITE = -1 };

/* false with a failure: too few axes, not square, too large for LAPACK's 32-bit integers. */
bool peri__matrices_of (const char *op, const char *name, peri_tensor *x, bool square,
                        peri__matrices *m);
/* The same matrices seen through more batch axes. */
void peri__broadcast_matrices (peri__matrices *m, peri_dims batch);
const peri_real *peri__matrix_at (const peri__matrices *m, int64_t i);
/* The axes before the last two, followed by `n` sizes. */
peri_dims peri__batch_and (const peri_tensor *x, int n, int64_t first, int64_t second);
/* For the first input of a row: x, or a when there are two. */
bool peri__start_job (const peri_call *c, bool square, peri__matrix_job *j);

/* The first columns of matrix i by columns; matrix i as (x + x') / 2.  0 or PERI__NOT_FINITE. */
int peri__load_columns (const peri__matrices *m, int64_t i, int64_t columns, peri_real *to);
int peri__load_symmetric (const peri__matrices *m, int64_t i, peri_real *to);
/* A matrix held by columns, written by rows. */
void peri__store_rows (const peri_real *from, int64_t rows, int64_t columns, peri_real *to);

/* "op: x of shape (3, 4, 4): matrix 2 is not finite", or what the format says.  Returns NULL. */
__attribute__((format(printf, 4, 5)))
peri_tensor *peri__matrix_wrong (const peri__matrices *m, int64_t i, int wrong, const char *format,
                                 ...);

/* --- for derivatives --- */

/* The n by n constant with these entries below, on and above the diagonal. */
peri_tensor *peri__mask (int64_t n, double below, double on, double above);

static inline peri_tensor *flipped (peri_tensor *x) { return peri_transpose(x, -2, -1); }

/* (x + x') / 2 */
static inline peri_tensor *symmetric (peri_tensor *x) {
  return scale(peri_add(x, flipped(x)), 0.5);
}

#endif
