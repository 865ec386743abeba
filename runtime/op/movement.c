/* Movement: the same elements seen otherwise, cut, joined or spread.  Any dtype where nothing is
   computed; derivatives only for real. */

#include <string.h>

#include "kernel/copy.h"
#include "op/op.h"

static peri_dims shape_with (peri_dims shape, int axis, int64_t size) {
  shape.at[axis] = size;
  return shape;
}

peri_tensor *peri__contiguous_forward (const peri_call *c) {
  return peri_clone(c->in[0]);
}
void peri__contiguous_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  (void) n;
  dx[0] = g;
}

/* The shape asked for, with -1 worked out; false with a failure. */
static bool resolve (const peri_tensor *x, peri_dims *shape) {
  char from[PERI_SHAPETEXT], to[PERI_SHAPETEXT];
  int hole = -1;
  int64_t known = 1;
  peri_dims asked = *shape;
  for (int i = 0; i < shape->n; i++) {
    if (shape->at[i] == -1 && hole < 0) hole = i;
    else if (shape->at[i] < 0 || __builtin_mul_overflow(known, shape->at[i], &known)) known = -1;
    if (known < 0) break;
  }
  if (hole >= 0 && known > 0 && x->count % known == 0) shape->at[hole] = x->count / known;
  else if (hole >= 0 || known != x->count) {
    peri_fail(PERI_E_SHAPE, "reshape: x of shape %s has %lld elements, which do not fill %s",
              peri_shape_text(x, from), (long long) x->count, peri__dims_text(asked, to));
    return false;
  }
  return true;
}

/* A view of x when it is packed, else of a packed copy. */
peri_tensor *peri__reshape_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  peri_dims shape = c->a.dims;
  if (!resolve(x, &shape)) return NULL;
  x = peri__packed(x);
  peri_tensor *y = x ? peri__view(x) : NULL;
  if (y) peri__set_shape(y, shape);
  return y;
}
void peri__reshape_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_reshape(g, peri_input_shape(n, 0));
}

peri_tensor *peri__expand_forward (const peri_call *c) {
  peri_dims shape = c->a.dims, both;
  peri_tensor *x = c->in[0];
  char from[PERI_SHAPETEXT], to[PERI_SHAPETEXT];
  int64_t count = 1;
  bool fits = true;
  for (int i = 0, lead = shape.n - x->ndim; i < shape.n; i++) {
    if (shape.at[i] == -1 && i >= lead) shape.at[i] = x->shape[i - lead];
    fits &= shape.at[i] >= 0 && !__builtin_mul_overflow(count, shape.at[i], &count);
  }
  if (!fits || x->ndim > shape.n || !peri__broadcast_dims("expand", peri_shape_of(x), shape, &both)
      || memcmp(both.at, shape.at, (size_t) shape.n * sizeof shape.at[0]) != 0)
    return peri_null(PERI_E_SHAPE, "expand: x of shape %s does not broadcast to %s",
                     peri_shape_text(x, from), peri__dims_text(shape, to));
  return peri__expand_to(x, shape);
}
void peri__expand_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  (void) n;
  dx[0] = g;                               /* the engine sums over what was broadcast */
}

peri_tensor *peri__permute_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  peri_dims order = c->a.dims;
  if (order.n != x->ndim)
    return peri_null(PERI_E_ARGUMENT, "permute: %d axes are named but x has %d", order.n, x->ndim);
  if (x->ndim && peri__axis_mask("permute", order, x->ndim) < 0) return NULL;
  peri_tensor *y = peri__view(x);
  for (int i = 0; y && i < order.n; i++) {
    int from = (int) (order.at[i] < 0 ? order.at[i] + x->ndim : order.at[i]);
    y->shape[i] = x->shape[from];
    y->stride[i] = x->stride[from];
  }
  return y;
}
void peri__permute_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims back = {.n = n->a.dims.n};
  for (int i = 0; i < back.n; i++) {
    int64_t from = n->a.dims.at[i];
    back.at[from < 0 ? from + back.n : from] = i;
  }
  dx[0] = peri_permute(g, back);
}

peri_tensor *peri__transpose_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int p = peri__axis("transpose", c->a.axis, x->ndim), q = peri__axis("transpose", c->a.other, x->ndim);
  if (p < 0 || q < 0) return NULL;
  peri_tensor *y = peri__view(x);
  if (!y) return NULL;
  y->shape[p] = x->shape[q];
  y->stride[p] = x->stride[q];
  y->shape[q] = x->shape[p];
  y->stride[q] = x->stride[p];
  return y;
}
void peri__transpose_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_transpose(g, n->a.axis, n->a.other);
}

/* Start and stop of a range along an axis of that size, counted from 0. */
static void resolve_range (const peri_args *a, int64_t size, int64_t *start, int64_t *stop) {
  *start = a->i[0] < 0 ? a->i[0] + size : a->i[0];
  *stop = a->i[1] == PERI_END ? size : a->i[1] < 0 ? a->i[1] + size : a->i[1];
}

peri_tensor *peri__slice_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int axis = peri__axis("slice", c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  int64_t size = x->shape[axis], start, stop, step = c->a.i[2];
  resolve_range(&c->a, size, &start, &stop);
  if (step < 1)
    return peri_null(PERI_E_ARGUMENT, "slice: step is %lld, want 1 or more", (long long) step);
  if (start < 0 || stop > size || stop < start)
    return peri_null(PERI_E_ARGUMENT, "slice: %lld..%lld is outside axis %d, which has %lld elements",
                     (long long) start + 1, (long long) stop, axis + 1, (long long) size);
  peri_tensor *y = peri__view(x);
  if (!y) return NULL;
  int64_t n = stop > start ? (stop - start - 1) / step + 1 : 0;
  if (n > 0) y->data = (char *) x->data + start * x->stride[axis] * (ptrdiff_t) peri_itemsize(x->dtype);
  y->count = size ? x->count / size * n : 0;
  y->shape[axis] = n;
  if (n > 1) y->stride[axis] = x->stride[axis] * step;      /* else any step serves, and may be huge */
  return y;
}
void peri__slice_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  int64_t start, stop;
  resolve_range(&n->a, in.at[axis], &start, &stop);
  dx[0] = peri_unslice(g, axis, start, n->a.i[2], in.at[axis]);
}

/* Where elements start, start + step, .. of an axis of y are, as a view. */
static peri_tensor *places (peri_tensor *y, int axis, int64_t start, int64_t step, int64_t n) {
  peri_tensor *v = peri__view(y);
  if (!v) return NULL;
  if (n > 0) v->data = (char *) y->data + start * y->stride[axis] * (ptrdiff_t) peri_itemsize(y->dtype);
  v->count = y->shape[axis] ? y->count / y->shape[axis] * n : 0;
  v->shape[axis] = n;
  if (n > 1) v->stride[axis] *= step;
  return v;
}

/* Copy x into the strided view v of its shape. */
static void copy_into (peri_tensor *v, const peri_tensor *x) {
  peri__copy(v->ndim, v->shape, v->data, v->stride, x->data, x->stride, peri_itemsize(x->dtype));
}

peri_tensor *peri__unslice_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int axis = peri__axis("unslice", c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  int64_t n = x->shape[axis], start = c->a.i[0], step = c->a.i[1], size = c->a.i[2];
  if (start < 0 || step < 1 || size < 0
      || (n > 0 && (start >= size || (n - 1) > (size - 1 - start) / step)))
    return peri_null(PERI_E_ARGUMENT, "unslice: %lld elements from %lld by %lld do not fit in %lld",
                     (long long) n, (long long) start + 1, (long long) step, (long long) size);
  peri_tensor *y = peri_full(x->dtype, shape_with(peri_shape_of(x), axis, size), 0);
  peri_tensor *v = y ? places(y, axis, start, step, n) : NULL;
  if (v) copy_into(v, x);
  return v ? y : NULL;
}
void peri__unslice_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  int64_t start = n->a.i[0], step = n->a.i[1], m = in.at[axis];
  int64_t stop = m ? start + (m - 1) * step + 1 : start;
  if (m == 0 && start > n->a.i[2]) start = stop = 0;
  dx[0] = peri_slice(g, axis, start, stop, step);
}

peri_tensor *peri__flip_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int axis = peri__axis("flip", c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_tensor *v = peri__view(x);
  if (!v) return NULL;
  if (v->shape[axis] > 0)
    v->data = (char *) x->data
              + (x->shape[axis] - 1) * x->stride[axis] * (ptrdiff_t) peri_itemsize(x->dtype);
  v->stride[axis] = -x->stride[axis];
  return peri_clone(v);
}
void peri__flip_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_flip(g, n->a.axis);
}

/* --- lists --- */

peri_tensor *peri__concat_forward (const peri_call *c) {
  char ta[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  const peri_tensor *first = c->in[0];
  int axis = peri__axis("concat", c->a.axis, first->ndim);
  if (axis < 0) return NULL;
  int64_t total = 0, at = 0;
  for (int i = 0; i < c->nin; i++) {
    const peri_tensor *x = c->in[i];
    if (x->ndim != first->ndim
        || !peri__has_shape(x, shape_with(peri_shape_of(first), axis,
                                          x->ndim > axis ? x->shape[axis] : 0)))
      return peri_null(PERI_E_SHAPE, "concat: tensor %d of shape %s does not join the first, of shape "
                       "%s, along axis %d; all other sizes must be equal", i + 1,
                       peri_shape_text(x, ta), peri_shape_text(first, tb), axis + 1);
    total += x->shape[axis];
  }
  peri_tensor *y = peri_empty(first->dtype, shape_with(peri_shape_of(first), axis, total));
  for (int i = 0; y && i < c->nin; at += c->in[i++]->shape[axis]) {
    peri_tensor *v = places(y, axis, at, 1, c->in[i]->shape[axis]);
    if (!v) return NULL;
    copy_into(v, c->in[i]);
  }
  return y;
}
void peri__concat_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis < 0 ? n->a.axis + n->shape.n : n->a.axis;
  int64_t at = 0;
  for (int i = 0; i < n->nin; i++) {
    int64_t size = n->in[i].size;
    if (peri_wanted(n, i)) dx[i] = peri_slice(g, axis, at, at + size, 1);
    at += size;
  }
}

peri_tensor *peri__stack_forward (const peri_call *c) {
  char ta[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  const peri_tensor *first = c->in[0];
  if (first->ndim == PERI_MAXDIM)
    return peri_null(PERI_E_SHAPE, "stack: x has %d axes already, the most there are", PERI_MAXDIM);
  int axis = peri__axis("stack", c->a.axis, first->ndim + 1);
  if (axis < 0) return NULL;
  peri_dims shape = {.n = first->ndim + 1};
  for (int i = 0; i < shape.n; i++)
    shape.at[i] = i < axis ? first->shape[i] : i == axis ? c->nin : first->shape[i - 1];
  peri_tensor *y = peri_empty(first->dtype, shape);
  for (int i = 0; y && i < c->nin; i++) {
    const peri_tensor *x = c->in[i];
    if (!peri__same_shape(x, first))
      return peri_null(PERI_E_SHAPE, "stack: tensor %d has shape %s and the first %s; make them equal",
                       i + 1, peri_shape_text(x, ta), peri_shape_text(first, tb));
    peri_tensor *v = places(y, axis, i, 1, 1), *w = v ? peri__view(x) : NULL;
    if (!w) return NULL;
    w->ndim = v->ndim;
    for (int d = 0; d < v->ndim; d++) {
      w->shape[d] = v->shape[d];
      w->stride[d] = d < axis ? x->stride[d] : d == axis ? 0 : x->stride[d - 1];
    }
    copy_into(v, w);
  }
  return y;
}
void peri__stack_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis < 0 ? n->a.axis + n->shape.n : n->a.axis;
  for (int i = 0; i < n->nin; i++)
    if (peri_wanted(n, i)) dx[i] = peri_reshape(peri_slice(g, axis, i, i + 1, 1), peri_input_shape(n, i));
}
