/* Order along an axis: sorting, the k best, and places among sorted edges. */

#include <math.h>

#include "kernel/sort.h"
#include "op/op.h"
#include "parallel.h"

enum { CHUNK = 8192 };

typedef struct {
  peri_tensor *x;               /* packed (outer, n, inner) */
  int axis;
  int64_t outer, n, inner;
} along;

static bool view_axis (const peri_call *c, along *v) {
  peri_tensor *x = c->in[0];
  *v = (along) {.axis = peri__axis(peri_ops[c->op].name, c->a.axis, x->ndim), .outer = 1, .inner = 1};
  if (v->axis < 0) return false;
  v->n = x->shape[v->axis];
  for (int i = 0; i < x->ndim; i++) *(i < v->axis ? &v->outer : &v->inner) *= i == v->axis ? 1 : x->shape[i];
  if (v->n > INT32_MAX)
    return peri_fail(PERI_E_SHAPE, "%s: axis %d of %lld entries is too long for an index",
                     peri_ops[c->op].name, v->axis + 1, (long long) v->n), false;
  v->x = peri__packed(x);
  return v->x != NULL;
}

static peri_tensor *order (const along *v, bool descending, int64_t k, bool places) {
  peri_dims shape = peri_shape_of(v->x);
  shape.at[v->axis] = k;
  peri_tensor *y = peri_empty(places ? PERI_INDEX : PERI_REAL, shape);
  if (!y) return NULL;
  return peri__sort(v->x->data, v->outer, v->n, v->inner, descending, k, places ? NULL : y->data,
                    places ? y->data : NULL) ? y : NULL;
}

/* Stable, from small to large, or descending; NaN last. */
peri_tensor *peri__argsort_forward (const peri_call *c) {
  along v;
  return view_axis(c, &v) ? order(&v, c->a.keep, v.n, true) : NULL;
}

/* y_i = x_(p_i), so dx_(p_i) = g_i */
peri_tensor *peri__sort_forward (const peri_call *c) {
  along v;
  return view_axis(c, &v) ? order(&v, c->a.keep, v.n, false) : NULL;
}
void peri__sort_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis < 0 ? n->a.axis + n->shape.n : n->a.axis;
  peri_tensor *place = peri_argsort(peri_input(n, 0), axis, n->a.keep);
  dx[0] = peri_scatter_add(g, place, axis, n->shape.at[axis]);
}

static peri_tensor *best (const peri_call *c, bool places) {
  const char *op = peri_ops[c->op].name;
  char text[PERI_SHAPETEXT];
  int64_t k = c->a.i[0];
  along v;
  if (!view_axis(c, &v)) return NULL;
  if (k < 0 || k > v.n)
    return peri_null(PERI_E_ARGUMENT, "%s: k = %lld, but axis %d of x, of shape %s, has %lld entries", op,
                     (long long) k, v.axis + 1, peri_shape_text(v.x, text), (long long) v.n);
  const peri_real *x = v.x->data;
  for (int64_t i = 0; i < v.x->count; i++)
    if (isnan(x[i]))
      return peri_null(PERI_E_ARGUMENT, "%s: x of shape %s has a NaN, which has no order; replace it with "
                       "where", op, peri_shape_text(v.x, text));
  return order(&v, c->a.keep, k, places);
}

/* The first k of sort, largest first, or smallest first when largest is false. */
peri_tensor *peri__topk_forward (const peri_call *c) {
  return best(c, false);
}
void peri__topk_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0);
  int axis = n->a.axis < 0 ? n->a.axis + in.n : n->a.axis;
  peri_tensor *place = peri_argtopk(peri_input(n, 0), n->a.i[0], axis, n->a.keep);
  dx[0] = peri_scatter_add(g, place, axis, in.at[axis]);
}

peri_tensor *peri__argtopk_forward (const peri_call *c) {
  return best(c, true);
}

/* --- among sorted edges --- */

typedef struct {
  const peri_real *edges, *x;
  int64_t n, row, count;        /* edges of a list, entries of x that share one */
  int32_t *y;
} search_job;

/* Halving without a branch: `low` edges are known to be <= v. */
static void search_chunk (void *arg, int64_t chunk) {
  const search_job *j = arg;
  int64_t end = (chunk + 1) * CHUNK < j->count ? (chunk + 1) * CHUNK : j->count;
  for (int64_t i = chunk * CHUNK; i < end; i++) {
    const peri_real *edges = j->edges + i / j->row * j->n, v = j->x[i];
    int64_t low = 0, n = j->n;
    while (n > 0) {
      int64_t half = (n + 1) / 2;
      low += edges[low + half - 1] <= v ? half : 0;
      n -= half;
    }
    j->y[i] = (int32_t) low;
  }
}

/* y = how many edges are <= x: the bin of x, counted from 1, with 0 below the first edge.  NaN is in
   bin 0.  edges ascend along their last axis; the others are those of x, or there are none. */
peri_tensor *peri__searchsorted_forward (const peri_call *c) {
  char te[PERI_SHAPETEXT], tx[PERI_SHAPETEXT];
  peri_tensor *edges = c->in[0], *x = c->in[1];
  bool shared = edges->ndim == 1, same = shared || (edges->ndim == x->ndim && x->ndim > 0);
  for (int i = 0; same && !shared && i < x->ndim - 1; i++) same = x->shape[i] == edges->shape[i];
  if (!same || edges->shape[edges->ndim - 1] > INT32_MAX)
    return peri_null(PERI_E_SHAPE, "searchsorted: edges of shape %s must have one axis, or all of x, of "
                     "shape %s, but the last", peri_shape_text(edges, te), peri_shape_text(x, tx));
  peri_tensor *y = peri_empty(PERI_INDEX, peri_shape_of(x));
  edges = peri__packed(edges);
  x = peri__packed(x);
  if (!y || !edges || !x || y->count == 0) return edges && x ? y : NULL;
  int64_t n = edges->shape[edges->ndim - 1];
  const peri_real *p = edges->data;
  for (int64_t i = 1; i < edges->count; i++)
    if (i % n != 0 && !(p[i - 1] <= p[i]))
      return peri_null(PERI_E_ARGUMENT, "searchsorted: edges of shape %s do not ascend at entry %lld; sort "
                       "them", peri_shape_text(edges, te), (long long) (i % n) + 1);
  search_job j = {.edges = p, .x = x->data, .n = n, .row = shared ? x->count : x->shape[x->ndim - 1],
                  .count = x->count, .y = y->data};
  peri__parallel((x->count + CHUNK - 1) / CHUNK, search_chunk, &j);
  return y;
}
