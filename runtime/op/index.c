/* Selection by index tensors, which count from 1, and its adjoints. */

#include <string.h>

#include "op/op.h"
#include "parallel.h"

enum { CHUNK = 32768, COLUMNS = 512, PARTS = 16 };

/* What the loops below share.  Every element of y is written by one chunk, and sums run in the
   order of the index, so threads change nothing. */
typedef struct {
  int64_t outer, n, m, inner, per, parts;    /* x is (outer, n, inner), y (outer, m, inner) */
  size_t size;                               /* bytes of an element */
  const char *x;
  const int32_t *index;
  char *y;
} index_job;

static int64_t least (int64_t a, int64_t b) {
  return a < b ? a : b;
}

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
  uint32_t bad = 0;
  if (n <= INT32_MAX)                        /* one pass that runs in vectors; the culprit is sought after */
    for (int64_t i = 0; i < index->count; i++) bad |= (uint32_t) p[i] - 1u >= (uint32_t) n;
  else
    for (int64_t i = 0; i < index->count; i++) bad |= p[i] < 1;
  for (int64_t i = 0; bad && i < index->count; i++)
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

static index_job new_job (const axis_view *v, const int32_t *index, int64_t m, peri_tensor *y) {
  return (index_job) {.outer = v->outer, .n = v->n, .m = m, .inner = v->inner, .index = index,
                      .size = peri_itemsize(v->x->dtype), .x = v->x->data, .y = y->data};
}

/* `per` rows of y */
static void select_rows (void *arg, int64_t chunk) {
  const index_job *j = arg;
  int64_t at = chunk * j->per, end = least(at + j->per, j->outer * j->m), o = at / j->m, i = at % j->m;
  size_t row = (size_t) j->inner * j->size;
  for (; at < end; at++) {
    const char *from = j->x + (size_t) (o * j->n + j->index[i] - 1) * row;
    if (row == 4) memcpy(j->y + (size_t) at * 4, from, 4);
    else memcpy(j->y + (size_t) at * row, from, row);
    if (++i == j->m) i = 0, o++;
  }
}

peri_tensor *peri__index_select_forward (const peri_call *c) {
  axis_view v;
  if (!is_list(c) || !view_axis(c, &v)) return NULL;
  const int32_t *index = check_index(c, 1, v.n);
  int64_t m = c->in[1]->count;
  peri_tensor *y = index ? new_like(&v, m, false) : NULL;
  if (!y || y->count == 0) return y;
  index_job j = new_job(&v, index, m, y);
  j.per = 1 + CHUNK / v.inner;
  peri__parallel((v.outer * m + j.per - 1) / j.per, select_rows, &j);
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

/* A range of y's rows: each chunk reads the whole index and takes what falls into its range. */
static void add_rows (void *arg, int64_t chunk) {
  const index_job *j = arg;
  int64_t o = chunk / j->parts, low = chunk % j->parts * j->per, high = least(low + j->per, j->m);
  const peri_real *x = (const peri_real *) j->x + o * j->n * j->inner;
  peri_real *y = (peri_real *) j->y + o * j->m * j->inner;
  if (high > low) memset(y + low * j->inner, 0, (size_t) ((high - low) * j->inner) * sizeof *y);
  for (int64_t i = 0; i < j->n; i++) {
    int64_t to = j->index[i] - 1;
    if (to < low || to >= high) continue;
    const peri_real *p = x + i * j->inner;
    peri_real *restrict q = y + to * j->inner;
    for (int64_t k = 0; k < j->inner; k++) q[k] += p[k];
  }
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
  peri_tensor *y = new_like(&v, size, false);
  if (!y || y->count == 0) return y;
  index_job j = new_job(&v, index, size, y);
  int64_t work = (size + v.n) * v.inner / CHUNK;
  j.parts = v.inner < 16 ? 1 : 1 + least(work, PARTS - 1);   /* short rows are not worth a search */
  j.per = (size + j.parts - 1) / j.parts;
  peri__parallel(v.outer * j.parts, add_rows, &j);
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

#define GATHER(type) \
  for (; at < end; at++) { \
    ((type *) j->y)[at] = ((const type *) j->x)[(o * j->n + j->index[at] - 1) * j->inner + k]; \
    if (++k == j->inner) { \
      k = 0; \
      if (++i == j->m) i = 0, o++; \
    } \
  }

/* Elements of any type, moved bit for bit. */
typedef uint32_t item4 __attribute__((may_alias));
typedef uint64_t item8 __attribute__((may_alias));

/* `per` elements of y */
static void gather_chunk (void *arg, int64_t chunk) {
  const index_job *j = arg;
  int64_t at = chunk * j->per, end = least(at + j->per, j->outer * j->m * j->inner);
  int64_t k = at % j->inner, i = at / j->inner % j->m, o = at / j->inner / j->m;
  if (j->size == 4) GATHER(item4)
  else if (j->size == 8) GATHER(item8)
  else GATHER(uint8_t)
}

peri_tensor *peri__gather_forward (const peri_call *c) {
  axis_view v;
  if (!view_axis(c, &v) || !same_but_axis(c, &v, false)) return NULL;
  const int32_t *index = check_index(c, 1, v.n);
  int64_t m = c->in[1]->shape[v.axis];
  peri_tensor *y = index ? new_like(&v, m, false) : NULL;
  if (!y || y->count == 0) return y;
  index_job j = new_job(&v, index, m, y);
  j.per = CHUNK;
  peri__parallel((y->count + CHUNK - 1) / CHUNK, gather_chunk, &j);
  return y;
}
void peri__gather_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  dx[0] = peri_scatter_add(g, peri_input(n, 1), axis, in.at[axis]);
}

/* Some columns of one slab: no other chunk adds to them. */
static void scatter_chunk (void *arg, int64_t chunk) {
  const index_job *j = arg;
  int64_t o = chunk / j->parts, low = chunk % j->parts * j->per, high = least(low + j->per, j->inner);
  const peri_real *x = (const peri_real *) j->x + o * j->n * j->inner;
  const int32_t *index = j->index + o * j->n * j->inner;
  peri_real *y = (peri_real *) j->y + o * j->m * j->inner;
  for (int64_t i = 0; i < j->m; i++)
    memset(y + i * j->inner + low, 0, (size_t) (high - low) * sizeof *y);
  for (int64_t i = 0; i < j->n; i++)
    for (int64_t k = low; k < high; k++)
      y[(index[i * j->inner + k] - 1) * j->inner + k] += x[i * j->inner + k];
}

peri_tensor *peri__scatter_add_forward (const peri_call *c) {
  axis_view v;
  int64_t size = c->a.i[0];
  if (!good_size(c) || !view_axis(c, &v) || !same_but_axis(c, &v, true)) return NULL;
  const int32_t *index = check_index(c, 1, size);
  peri_tensor *y = index ? new_like(&v, size, false) : NULL;
  if (!y || y->count == 0) return y;
  index_job j = new_job(&v, index, size, y);
  j.per = least(v.inner, COLUMNS);
  j.parts = (v.inner + j.per - 1) / j.per;
  peri__parallel(v.outer * j.parts, scatter_chunk, &j);
  return y;
}
void peri__scatter_add_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_gather(g, peri_input(n, 1), n->a.axis);
}

static void mark_rows (void *arg, int64_t chunk) {
  const index_job *j = arg;
  peri_real *y = (peri_real *) j->y;
  int64_t i = chunk * j->per, end = least(i + j->per, j->n);
  memset(y + i * j->m, 0, (size_t) ((end - i) * j->m) * sizeof *y);
  for (; i < end; i++) y[i * j->m + j->index[i] - 1] = 1;
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
  peri_tensor *y = index ? peri_empty(PERI_REAL, shape) : NULL;
  if (!y || y->count == 0) return y;
  index_job j = {.n = x->count, .m = classes, .per = 1 + CHUNK / classes, .index = index, .y = y->data};
  peri__parallel((j.n + j.per - 1) / j.per, mark_rows, &j);
  return y;
}
