/* Pooling of (batch, 1 to 3 spatial axes.., channels): the largest or the mean of each window. */

#include "kernel/dispatch.h"
#include "op/spatial.h"
#include "parallel.h"

enum { CHUNK = 32768 };

static peri_dims pooled_shape (peri_dims x, const peri__windows *w) {
  for (int a = 0; a < w->axes; a++) x.at[a + 1] = w->m[a];
  return x;
}

/* --- the largest --- */

typedef struct { int64_t first, last, step, n; } range;

typedef struct {
  const peri__windows *w;
  int64_t pixels, channels, plane, per;      /* results of an image and in a chunk; plane: of x */
  int64_t all;
  const peri_real *x;
  peri_real *y;
  int32_t *where;
} pool_job;

/* One window, all channels: NaN is the largest, and of equals the first. */
PERI__BODY max_window_body (const range *r, int64_t channels, const peri_real *x,
                            peri_real *restrict best, int32_t *restrict where) {
  bool first = true;
  for (int64_t i = r[0].first; i < r[0].last; i += r[0].step)
    for (int64_t j = r[1].first; j < r[1].last; j += r[1].step)
      for (int64_t k = r[2].first; k < r[2].last; k += r[2].step, first = false) {
        int64_t at = (i * r[1].n + j) * r[2].n + k;
        const peri_real *v = x + at * channels;
        if (first) for (int64_t c = 0; c < channels; c++) best[c] = v[c];
        if (first && where) for (int64_t c = 0; c < channels; c++) where[c] = (int32_t) at + 1;
        if (first) continue;
        if (where)
          for (int64_t c = 0; c < channels; c++) {
            bool keep = v[c] <= best[c] || best[c] != best[c];
            where[c] = keep ? where[c] : (int32_t) at + 1;
            best[c] = keep ? best[c] : v[c];
          }
        else
          for (int64_t c = 0; c < channels; c++)
            best[c] = v[c] <= best[c] || best[c] != best[c] ? best[c] : v[c];
      }
}
PERI__DISPATCH(max_window, (const range *r, int64_t channels, const peri_real *x,
                            peri_real *restrict best, int32_t *restrict where),
               (r, channels, x, best, where))

static void max_chunk (void *arg, int64_t chunk) {
  const pool_job *j = arg;
  const peri__windows *w = j->w;
  int64_t end = (chunk + 1) * j->per < j->all ? (chunk + 1) * j->per : j->all;
  for (int64_t p = chunk * j->per; p < end; p++) {
    range r[PERI__SPATIAL] = {{0, 1, 1, 1}, {0, 1, 1, 1}, {0, 1, 1, 1}};
    int64_t rest = p % j->pixels;
    for (int a = w->axes - 1; a >= 0; a--) {
      range *to = &r[a + PERI__SPATIAL - w->axes];
      peri__window_range(w, a, rest % w->m[a], &to->first, &to->last);
      to->step = w->step[a];
      to->n = w->n[a];
      rest /= w->m[a];
    }
    max_window(r, j->channels, j->x + p / j->pixels * j->plane * j->channels, j->y + p * j->channels,
               j->where ? j->where + p * j->channels : NULL);
  }
}

/* The largest of each window, or where it stands in the image, from 1 in the order of its axes. */
static peri_tensor *max_windows (const peri_call *c, const peri__windows *w, bool places) {
  peri_tensor *x = peri__packed(c->in[0]);
  if (!x) return NULL;
  peri_dims shape = pooled_shape(peri_shape_of(x), w);
  peri_tensor *y = peri_empty(PERI_REAL, shape), *where = places ? peri_empty(PERI_INDEX, shape) : NULL;
  pool_job j = {.w = w, .pixels = 1, .plane = 1, .channels = shape.at[shape.n - 1]};
  int64_t covered = 1;
  if (!y || (places && !where)) return NULL;
  for (int a = 0; a < w->axes; a++) {
    j.pixels *= w->m[a];
    j.plane *= w->n[a];
    covered *= w->adaptive ? 1 + w->n[a] / w->m[a] : w->size[a];
  }
  if (places && j.plane > INT32_MAX)
    return peri_null(PERI_E_SHAPE, "%s: an image of %lld elements is too large for an index",
                     peri_ops[c->op].name, (long long) j.plane);
  if (y->count == 0) return places ? where : y;
  j.all = shape.at[0] * j.pixels;
  j.per = 1 + CHUNK / (j.channels * covered);
  j.x = x->data;
  j.y = y->data;
  j.where = places ? where->data : NULL;
  peri__parallel((j.all + j.per - 1) / j.per, max_chunk, &j);
  return places ? where : y;
}

/* g at the place each result was taken from: dx = sum of g over the windows an entry won */
static peri_tensor *send_back (const peri_node *n, peri_tensor *g, peri_tensor *where) {
  peri_dims in = peri_input_shape(n, 0), flat = {.n = 3, .at = {in.at[0], 1, in.at[in.n - 1]}};
  int64_t plane = 1;
  for (int i = 1; i < in.n - 1; i++) {
    flat.at[1] *= n->shape.at[i];
    plane *= in.at[i];
  }
  return peri_reshape(peri_scatter_add(peri_reshape(g, flat), peri_reshape(where, flat), 1, plane), in);
}

/* y = max over the window; no gradient to an entry that is not the first of the largest */
peri_tensor *peri__max_pool_forward (const peri_call *c) {
  peri__windows w;
  return peri__pool_windows(c, peri_shape_of(c->in[0]), &w) ? max_windows(c, &w, false) : NULL;
}
void peri__max_pool_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = send_back(n, g, peri_argmax_pool(peri_input(n, 0), n->a.window));
}

peri_tensor *peri__argmax_pool_forward (const peri_call *c) {
  peri__windows w;
  return peri__pool_windows(c, peri_shape_of(c->in[0]), &w) ? max_windows(c, &w, true) : NULL;
}

static peri_tensor *adaptive_max (const peri_call *c, bool places) {
  peri__windows w;
  if (!peri__adaptive_windows(peri_ops[c->op].name, peri_shape_of(c->in[0]), c->a.dims, &w)) return NULL;
  return max_windows(c, &w, places);
}

peri_tensor *peri__adaptive_max_pool_forward (const peri_call *c) {
  return adaptive_max(c, false);
}
void peri__adaptive_max_pool_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = send_back(n, g, peri_adaptive_argmax_pool(peri_input(n, 0), n->a.dims));
}

peri_tensor *peri__adaptive_argmax_pool_forward (const peri_call *c) {
  return adaptive_max(c, true);
}

/* --- the mean --- */

/* y = mean over the entries of the window that are inside x: padding does not count, so the mean of
   a constant is that constant up to the edge */
peri_tensor *peri__avg_pool_forward (const peri_call *c) {
  peri__windows w;
  if (!peri__pool_windows(c, peri_shape_of(c->in[0]), &w)) return NULL;
  return peri__along_axes(c->in[0], w.axes, w.n, w.m, false, peri__average_taps, &w);
}
void peri__avg_pool_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0), sizes = {.n = in.n - 2};
  for (int a = 0; a < sizes.n; a++) sizes.at[a] = in.at[a + 1];
  dx[0] = peri_avg_unpool(g, sizes, n->a.window);
}

/* The adjoint: every entry gets g / count of each window it is in. */
peri_tensor *peri__avg_unpool_forward (const peri_call *c) {
  peri__windows w;
  char text[PERI_SHAPETEXT], want[PERI_SHAPETEXT];
  peri_dims shape = peri_shape_of(c->in[0]), in = shape, sizes = c->a.dims;
  bool fits = sizes.n == shape.n - 2;
  for (int a = 0; fits && a < sizes.n; a++) in.at[a + 1] = sizes.at[a];
  if (fits && !peri__pool_windows(c, in, &w)) return NULL;
  for (int a = 0; fits && a < sizes.n; a++) fits = w.m[a] == shape.at[a + 1];
  if (!fits)
    return peri_null(PERI_E_SHAPE, "avg_unpool: x of shape %s is not what pooling an image of sizes %s "
                     "gives", peri_shape_text(c->in[0], text), peri__dims_text(sizes, want));
  return peri__along_axes(c->in[0], w.axes, w.n, w.m, true, peri__average_taps, &w);
}
void peri__avg_unpool_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_avg_pool(g, n->a.window);
}
