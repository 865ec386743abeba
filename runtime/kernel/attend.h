/* Attention over packed rows: softmax(scale q k' + bias) v and its first derivative, a block of
   query rows at a time, so that the scores stay in the cache.  No tensors are made here. */
#ifndef PERI_ATTEND_H
#define PERI_ATTEND_H

#include "shape.h"

/* A matrix for each place of the batch axes: rows `step` apart, each packed. */
typedef struct {
  peri_real *data;
  int64_t step;
  peri_layout lead;
} peri__rows;

/* What scores are changed by: nothing (data NULL), bytes that are 0 where nobody may look, or reals
   that are added.  row and column are strides. */
typedef struct {
  const void *data;
  bool bytes;
  int64_t row, column;
  peri_layout lead;
} peri__bias;

typedef struct {
  int64_t count;                /* matrices */
  int64_t tq, tk, d, dv;        /* queries, keys, sizes of a key and of a value */
  bool causal;                  /* query i sees keys up to i + tk - tq */
  peri_real scale;
  peri__rows q, k, v;
  peri__bias bias;
} peri__attend;

/* out (tq, dv).  A row that sees nothing is 0.  False with a failure when memory is short. */
bool peri__attend_forward (const peri__attend *a, const peri__rows *out);

/* dq, dk and dv, all written, from g, the gradient by out. */
bool peri__attend_backward (const peri__attend *a, const peri__rows *g, const peri__rows *dq,
                            const peri__rows *dk, const peri__rows *dv);

#endif
