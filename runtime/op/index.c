/* Selection by index tensors, which count from 1, and its adjoints. */

#include <string.h>

#include "op/op.h"

/* Packed x as (outer, n, inner) around its axis. */
typedef struct {
  peri_tensor *x;
  int axis;
  int64_t outer, n, inner;
} axis_view;

static bool view_axis (const peri_call *c, axis_view *v) {
  peri_tensor *x = c->in[0];
  v->axis = peri__axis(peri_ops[c->op].name, c->a.axis, x->ndim);
  if (v->axis < 0) return false;
  v->outer = v->inner = 1;
  v->n = x->shape[v->axis];
  for (int i = 0; i < x->ndim; i++) *(i < v->axis ? &v->outer : &v->inner) *= i == v->axis ? 1 : x->shape[i];
  v->x = peri__packed(x);
  return v->x != NULL;
}

/* Packed index with every entry in 1..n, or NULL. */
static const int32_t *check_index (const peri_call *c, int which, int64_t n) {
  peri_tensor *index = peri__packed(c->in[which]);
  if (!index) return NULL;
  const int32_t *p = index->data;
  for (int64_t i = 0; i < index->count; i++)
    if (p[i] < 1 || p[i] > n)
      return peri_null(PERI_E_ARGUMENT, "%s: entry %lld of index is %d, outside 1..%lld",
                       peri_ops[c->op].name, (long long) i + 1, p[i], (long long) n);
  return p;
}

static bool is_list (const peri_call *c) {
  char text[PERI_SHAPETEXT];
  if (c->in[1]->ndim == 1) return true;
  peri_fail(PERI_E_SHAPE, "%s: index has shape %s, want one axis", peri_ops[c->op].name,
            peri_shape_text(c->in[1], text));
  return false;
}

static peri_tensor *new_like (const axis_view *v, int64_t size, bool zero) {
  peri_dims shape = peri_shape_of(v->x);
  shape.at[v->axis] = size;
  return zero ? peri_full(v->x->dtype, shape, 0) : peri_empty(v->x->dtype, shape);
}

peri_tensor *peri__index_select_forward (const peri_call *c) {
  axis_view v;
  if (!is_list(c) || !view_axis(c, &v)) return NULL;
  const int32_t *index = check_index(c, 1, v.n);
  int64_t m = c->in[1]->count;
  peri_tensor *y = index ? new_like(&v, m, false) : NULL;
  size_t row = (size_t) v.inner * peri_itemsize(v.x->dtype);
  for (int64_t o = 0; y && o < v.outer; o++)
    for (int64_t i = 0; i < m; i++)
      memcpy((char *) y->data + (size_t) (o * m + i) * row,
             (char *) v.x->data + (size_t) (o * v.n + index[i] - 1) * row, row);
  return y;
}
void peri__index_select_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  dx[0] = peri_index_add(g, peri_input(n, 1), axis, in.at[axis]);
}

static bool good_size (const peri_call *c) {
  if (c->a.i[0] >= 0) return true;
  peri_fail(PERI_E_ARGUMENT, "%s: size is %lld, want 0 or more", peri_ops[c->op].name,
            (long long) c->a.i[0]);
  return false;
}

peri_tensor *peri__index_add_forward (const peri_call *c) {
  axis_view v;
  int64_t size = c->a.i[0];
  if (!is_list(c) || !good_size(c) || !view_axis(c, &v)) return NULL;
  const int32_t *index = check_index(c, 1, size);
  if (!index) return NULL;
  if (c->in[1]->count != v.n)
    return peri_null(PERI_E_SHAPE, "index_add: index has %lld entries and axis %d of x %lld; make "
                     "them equal", (long long) c->in[1]->count, v.axis + 1, (long long) v.n);
  peri_tensor *y = new_like(&v, size, true);
  for (int64_t o = 0; y && o < v.outer; o++)
    for (int64_t i = 0; i < v.n; i++) {
      const peri_real *p = (const peri_real *) v.x->data + (o * v.n + i) * v.inner;
      peri_real *q = (peri_real *) y->data + (o * size + index[i] - 1) * v.inner;
      for (int64_t k = 0; k < v.inner; k++) q[k] += p[k];
    }
  return y;
}
void peri__index_add_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_index_select(g, peri_input(n, 1), n->a.axis);
}

/* index must have x's shape but along the axis. */
static bool same_but_axis (const peri_call *c, const axis_view *v, bool along) {
  char tx[PERI_SHAPETEXT], ti[PERI_SHAPETEXT];
  const peri_tensor *x = c->in[0], *index = c->in[1];
  bool same = x->ndim == index->ndim;
  for (int i = 0; same && i < x->ndim; i++)
    same = x->shape[i] == index->shape[i] || (i == v->axis && !along);
  if (!same)
    peri_fail(PERI_E_SHAPE, "%s: index of shape %s must have the shape of x, %s%s",
              peri_ops[c->op].name, peri_shape_text(index, ti), peri_shape_text(x, tx),
              along ? "" : ", but along the axis");
  return same;
}

peri_tensor *peri__gather_forward (const peri_call *c) {
  axis_view v;
  if (!view_axis(c, &v) || !same_but_axis(c, &v, false)) return NULL;
  const int32_t *index = check_index(c, 1, v.n);
  int64_t m = c->in[1]->shape[v.axis];
  peri_tensor *y = index ? new_like(&v, m, false) : NULL;
  size_t size = peri_itemsize(v.x->dtype);
  for (int64_t o = 0; y && o < v.outer; o++)
    for (int64_t i = 0; i < m; i++)
      for (int64_t k = 0; k < v.inner; k++) {
        int64_t to = (o * m + i) * v.inner + k, from = (o * v.n + index[to] - 1) * v.inner + k;
        memcpy((char *) y->data + (size_t) to * size, (char *) v.x->data + (size_t) from * size, size);
      }
  return y;
}
void peri__gather_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  dx[0] = peri_scatter_add(g, peri_input(n, 1), axis, in.at[axis]);
}

peri_tensor *peri__scatter_add_forward (const peri_call *c) {
  axis_view v;
  int64_t size = c->a.i[0];
  if (!good_size(c) || !view_axis(c, &v) || !same_but_axis(c, &v, true)) return NULL;
  const int32_t *index = check_index(c, 1, size);
  peri_tensor *y = index ? new_like(&v, size, true) : NULL;
  for (int64_t o = 0; y && o < v.outer; o++)
    for (int64_t i = 0; i < v.n; i++)
      for (int64_t k = 0; k < v.inner; k++) {
        int64_t from = (o * v.n + i) * v.inner + k;
        int64_t to = (o * size + index[from] - 1) * v.inner + k;
        ((peri_real *) y->data)[to] += ((const peri_real *) v.x->data)[from];
      }
  return y;
}
void peri__scatter_add_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_gather(g, peri_input(n, 1), n->a.axis);
}

peri_tensor *peri__one_hot_forward (const peri_call *c) {
  const peri_tensor *x = c->in[0];
  int64_t classes = c->a.i[0];
  peri_dims shape = peri_shape_of(x);
  if (classes < 1 || x->ndim == PERI_MAXDIM)
    return peri_null(PERI_E_ARGUMENT, "one_hot: cannot make %lld classes of an index of %d axes",
                     (long long) classes, x->ndim);
  const int32_t *index = check_index(c, 0, classes);
  shape.at[shape.n++] = classes;
  peri_tensor *y = index ? peri_full(PERI_REAL, shape, 0) : NULL;
  for (int64_t i = 0; y && i < x->count; i++)
    ((peri_real *) y->data)[i * classes + index[i] - 1] = 1;
  return y;
}
