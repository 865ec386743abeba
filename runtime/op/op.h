/* Small words that several families of operations say. */
#ifndef PERI_OP_H
#define PERI_OP_H

#include "node.h"
#include "shape.h"

/* x c for a number c */
static inline peri_tensor *scale (peri_tensor *x, double c) {
  return peri_mul(x, peri_number(c));
}

/* One axis, as a list. */
static inline peri_dims one_axis (int axis) {
  return (peri_dims) {.n = 1, .at = {axis}};
}

/* Sizes of packed x around axis >= 0. */
typedef struct { int64_t outer, n, inner; } axis_sizes;
static inline axis_sizes sizes_around (const peri_tensor *x, int axis) {
  axis_sizes s = {1, x->shape[axis], 1};
  for (int i = 0; i < axis; i++) s.outer *= x->shape[i];
  for (int i = axis + 1; i < x->ndim; i++) s.inner *= x->shape[i];
  return s;
}

/* In op/reduce.c, for what else folds sets of axes.  peri__arrange gives x with the axes of mask in
   one block, packed, and the sizes around it; peri__spread gives the reduced g of node n over the
   input's shape again, without a copy. */
peri_tensor *peri__arrange (peri_tensor *x, int mask, int64_t *outer, int64_t *n, int64_t *inner);
peri_dims peri__reduced_shape (const peri_tensor *x, int mask, bool keep);
peri_tensor *peri__spread (const peri_node *n, peri_tensor *g);

#endif
