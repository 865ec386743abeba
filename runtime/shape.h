/* Arithmetic on shapes and strides.  Knows tensors' fields, allocates nothing but handles. */
#ifndef PERI_SHAPE_H
#define PERI_SHAPE_H

#include "perigee/tensor.h"

bool peri__same_shape (const peri_tensor *x, const peri_tensor *y);
bool peri__has_shape (const peri_tensor *x, peri_dims shape);
const char *peri__dims_text (peri_dims d, char *buf);

/* Fill x's shape and packed strides. */
void peri__set_shape (peri_tensor *x, peri_dims shape);

/* Axis from the end when negative, into 0..ndim-1, or -1 with a failure naming `op`. */
int peri__axis (const char *op, int axis, int ndim);
/* The set of axes as a bit mask, or -1 with a failure; no axes means all. */
int peri__axis_mask (const char *op, peri_dims axes, int ndim);

/* The shape all n tensors broadcast to, looking at no axis before `upto` counted from the end
   (0: all axes).  false with a failure naming `op` and two shapes. */
bool peri__broadcast (const char *op, int n, peri_tensor *const *x, peri_dims *shape);
bool peri__broadcast_dims (const char *op, peri_dims a, peri_dims b, peri_dims *shape);

/* A view of x whose shape is `shape`, which x's shape broadcasts to. */
peri_tensor *peri__expand_to (peri_tensor *x, peri_dims shape);

/* A view of x as it stands: same storage, same shape, no node.  NULL on failure. */
peri_tensor *peri__view (const peri_tensor *x);

/* x itself when packed, else a packed copy; untracked.  Borrowed. */
peri_tensor *peri__packed (peri_tensor *x);

/* Axes of x, as seen through `shape` which x broadcasts to, merged where a single stride serves. */
typedef struct {
  int n;
  int64_t shape[PERI_MAXDIM], stride[PERI_MAXDIM];
} peri_layout;
peri_layout peri__layout (const peri_tensor *x, peri_dims shape);

/* Elements from..from+n of x in the order of the layout, as real, into buf.  Any dtype. */
void peri__pack (const peri_tensor *x, const peri_layout *l, int64_t from, int64_t n,
                 peri_real *buf);

#endif
