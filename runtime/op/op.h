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

#endif
