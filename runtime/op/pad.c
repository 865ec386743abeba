/* Padding along an axis, and its adjoint. */

#include "kernel/copy.h"
#include "kernel/taps.h"
#include "op/op.h"

enum { ZERO, REFLECT, REPLICATE, CIRCULAR };

/* Axis of the call for an unpadded tensor of that shape, or -1 with a failure. */
static int check_padding (const peri_call *c, peri_dims shape) {
  const char *op = peri_ops[c->op].name;
  char text[PERI_SHAPETEXT];
  int axis = peri__axis(op, c->a.axis, shape.n);
  if (axis < 0) return -1;
  int64_t n = shape.at[axis], before = c->a.i[0], after = c->a.i[1];
  int64_t most = c->a.mode == REFLECT ? n - 1 : c->a.mode == CIRCULAR ? n
               : c->a.mode == REPLICATE && n == 0 ? 0 : (int64_t) 1 << 40;
  if (most < 0) most = 0;
  if (before >= 0 && after >= 0 && before <= most && after <= most) return axis;
  peri_fail(PERI_E_ARGUMENT, "%s: before = %lld and after = %lld do not suit axis %d of shape %s; want 0 "
            "or more%s", op, (long long) before, (long long) after, axis + 1,
            peri__dims_text(shape, text),
            c->a.mode == REFLECT ? " and less than its size" : c->a.mode == ZERO ? ""
            : " and at most its size");
  return -1;
}

/* Entries to .. to + n of an axis of y become from, from + step, .. of x. */
static void copy_range (peri_tensor *y, int axis, int64_t to, const peri_tensor *x, int64_t from,
                        int64_t step, int64_t n) {
  ptrdiff_t size = (ptrdiff_t) peri_itemsize(x->dtype);
  int64_t shape[PERI_MAXDIM], stride[PERI_MAXDIM];
  if (n == 0 || x->count == 0) return;
  for (int i = 0; i < x->ndim; i++) {
    shape[i] = i == axis ? n : x->shape[i];
    stride[i] = i == axis ? step * x->stride[i] : x->stride[i];
  }
  peri__copy(x->ndim, shape, (char *) y->data + to * y->stride[axis] * size, y->stride,
             (char *) x->data + from * x->stride[axis] * size, stride, (size_t) size);
}

/* y = before entries, x, after entries along an axis: zeros; x mirrored at its edge, which is not
   repeated; its edge repeated; or x from its other end. */
peri_tensor *peri__pad_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  peri_dims shape = peri_shape_of(x);
  int axis = check_padding(c, shape), mode = c->a.mode;
  if (axis < 0) return NULL;
  int64_t n = x->shape[axis], before = c->a.i[0], after = c->a.i[1];
  shape.at[axis] = before + n + after;
  peri_tensor *y = mode == ZERO ? peri_full(x->dtype, shape, 0) : peri_empty(x->dtype, shape);
  if (!y) return NULL;
  copy_range(y, axis, before, x, 0, 1, n);
  if (mode == ZERO) return y;
  int step = mode == REFLECT ? -1 : mode == REPLICATE ? 0 : 1;
  copy_range(y, axis, 0, x, mode == REFLECT ? before : mode == REPLICATE ? 0 : n - before, step, before);
  copy_range(y, axis, before + n, x, mode == REFLECT ? n - 2 : mode == REPLICATE ? n - 1 : 0, step, after);
  return y;
}
void peri__pad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis;
  int64_t before = n->a.i[0], after = n->a.i[1], all = n->shape.at[axis < 0 ? axis + n->shape.n : axis];
  if (n->a.mode == ZERO) dx[0] = peri_slice(g, axis, before, all - after, 1);
  else dx[0] = peri_unpad(g, axis, before, after, n->a.mode);
}

/* The entry of x that entry i of the padded axis is a copy of, or -1. */
static int64_t source (int mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == REFLECT) return i < 0 ? -i : 2 * n - 2 - i;
  if (mode == REPLICATE) return i < 0 ? 0 : n - 1;
  return mode == CIRCULAR ? (i < 0 ? i + n : i - n) : -1;
}

/* dx_k = sum over the entries i of x that copy entry k: the middle and what the padding adds to it. */
peri_tensor *peri__unpad_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  char text[PERI_SHAPETEXT];
  int axis = peri__axis("unpad", c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_dims shape = peri_shape_of(x);
  int64_t all = x->shape[axis], before = c->a.i[0], outer = 1, inner = 1, n;
  peri__taps t;
  if (__builtin_add_overflow(before, c->a.i[1], &n) || n < 0 || n > all)
    return peri_null(PERI_E_ARGUMENT, "unpad: before = %lld and after = %lld exceed axis %d of x, of "
                     "shape %s", (long long) before, (long long) c->a.i[1], axis + 1,
                     peri_shape_text(x, text));
  n = shape.at[axis] = all - n;
  if (check_padding(c, shape) < 0 || !(x = peri__packed(x))) return NULL;
  for (int i = 0; i < x->ndim; i++) *(i < axis ? &outer : &inner) *= i == axis ? 1 : x->shape[i];
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y || y->count == 0) return y;
  if (!peri__taps_open(&t, n, all, all)) return NULL;
  for (int64_t i = 0; i < all; i++) {
    int64_t k = source(c->a.mode, i - before, n);
    if (k >= 0) peri__taps_add(&t, k, 1);
    peri__taps_end_row(&t);
  }
  bool ready = peri__taps_transpose(&t);
  if (ready) peri__taps_apply(&t, outer, inner, x->data, y->data);
  peri__taps_close(&t);
  return ready ? y : NULL;
}
void peri__unpad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_pad(g, n->a.axis, n->a.i[0], n->a.i[1], n->a.mode);
}
