/* Images sampled at points (Jaderberg et al. 2015, spatial transformer networks): bilinear between
   the four pixels around a point.  (-1, -1) is the outer corner of the first pixel and (1, 1) of the
   last, so the centre of pixel i of w lies at (2 i + 1) / w - 1. */

#include <math.h>

#include "op/op.h"
#include "parallel.h"

enum { ZERO, BORDER, COLUMNS = 32, CHUNK = 16384 };

typedef struct {
  int64_t batch, h, w, channels, points, per, blocks;
  int mode;
  const peri_real *grid;
  const peri_real *from;
  peri_real *to;
} grid_job;

/* A point: its four pixels, rows of (h, w), or -1 outside, and their weights. */
typedef struct {
  int64_t at[4];
  double weight[4], x, y;       /* x, y: distances from the first pixel */
  bool moves_x, moves_y;        /* the value depends on the coordinate: not held at the border */
} corners;

/* The pixel before a coordinate, which is moved to the border if it must. */
static int64_t place (double *at, int64_t n, int mode, bool *moves) {
  *at = ((*at + 1) * (double) n - 1) / 2;
  *moves = mode == ZERO || (*at > 0 && *at < (double) (n - 1));
  if (mode == BORDER && !*moves) *at = *at > 0 ? (double) (n - 1) : 0;
  if (!(*at > -2 && *at < (double) n + 1)) return -2;        /* NaN too */
  int64_t low = (int64_t) floor(*at);
  return low;
}

static corners look (const grid_job *j, const peri_real *point) {
  corners c = {.x = (double) point[0], .y = (double) point[1]};
  int64_t left = place(&c.x, j->w, j->mode, &c.moves_x), top = place(&c.y, j->h, j->mode, &c.moves_y);
  c.x -= (double) left;
  c.y -= (double) top;
  for (int k = 0; k < 4; k++) {
    int64_t col = left + (k & 1), row = top + (k >> 1);
    bool inside = col >= 0 && col < j->w && row >= 0 && row < j->h;
    c.at[k] = inside ? row * j->w + col : -1;
    c.weight[k] = (k & 1 ? c.x : 1 - c.x) * (k >> 1 ? c.y : 1 - c.y);
  }
  return c;
}

static void sample_chunk (void *arg, int64_t chunk) {
  const grid_job *j = arg;
  int64_t end = (chunk + 1) * j->per;
  if (end > j->batch * j->points) end = j->batch * j->points;
  for (int64_t p = chunk * j->per; p < end; p++) {
    corners c = look(j, j->grid + 2 * p);
    const peri_real *x = j->from + p / j->points * j->h * j->w * j->channels;
    peri_real *restrict y = j->to + p * j->channels;
    peri_real start = isnan(c.x) || isnan(c.y) ? (peri_real) NAN : 0;
    for (int64_t k = 0; k < j->channels; k++) y[k] = start;
    for (int i = 0; i < 4; i++) {
      const peri_real *v = x + c.at[i] * j->channels, w = (peri_real) c.weight[i];
      if (c.at[i] >= 0) for (int64_t k = 0; k < j->channels; k++) y[k] += w * v[k];
    }
  }
}

/* Some channels of one image, point after point. */
static void spread_chunk (void *arg, int64_t chunk) {
  const grid_job *j = arg;
  int64_t image = chunk / j->blocks, low = chunk % j->blocks * COLUMNS;
  int64_t width = j->channels - low < COLUMNS ? j->channels - low : COLUMNS;
  peri_real *to = j->to + image * j->h * j->w * j->channels + low;
  for (int64_t p = image * j->points; p < (image + 1) * j->points; p++) {
    corners c = look(j, j->grid + 2 * p);
    const peri_real *g = j->from + p * j->channels + low;
    for (int i = 0; i < 4; i++) {
      peri_real *restrict v = to + c.at[i] * j->channels, w = (peri_real) c.weight[i];
      if (c.at[i] >= 0) for (int64_t k = 0; k < width; k++) v[k] += w * g[k];
    }
  }
}

/* Both inputs have four axes, one batch, and grid has two numbers for each point. */
static bool check_shapes (const peri_call *c) {
  char tx[PERI_SHAPETEXT], tg[PERI_SHAPETEXT];
  const peri_tensor *x = c->in[0], *grid = c->in[1];
  if (x->ndim == 4 && grid->ndim == 4 && x->shape[0] == grid->shape[0] && grid->shape[3] == 2) return true;
  peri_fail(PERI_E_SHAPE, "%s: x of shape %s must be (batch, height, width, channels) and grid of shape "
            "%s (batch, height, width, 2)", peri_ops[c->op].name, peri_shape_text(x, tx),
            peri_shape_text(grid, tg));
  return false;
}

static grid_job new_job (peri_dims image, const peri_tensor *grid, int mode) {
  return (grid_job) {.batch = image.at[0], .h = image.at[1], .w = image.at[2], .channels = image.at[3],
                     .points = grid->shape[1] * grid->shape[2], .mode = mode, .grid = grid->data};
}

peri_tensor *peri__grid_sample_forward (const peri_call *c) {
  if (!check_shapes(c)) return NULL;
  peri_tensor *x = peri__packed(c->in[0]), *grid = peri__packed(c->in[1]);
  char text[PERI_SHAPETEXT];
  if (!x || !grid) return NULL;
  if (c->a.mode == BORDER && (x->shape[1] == 0 || x->shape[2] == 0))
    return peri_null(PERI_E_SHAPE, "grid_sample: x of shape %s has no border", peri_shape_text(x, text));
  peri_dims shape = peri_shape_of(x);
  for (int i = 1; i < 3; i++) shape.at[i] = grid->shape[i];
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y || y->count == 0) return y;
  grid_job j = new_job(peri_shape_of(x), grid, c->a.mode);
  j.from = x->data;
  j.to = y->data;
  j.per = 1 + CHUNK / (4 * j.channels);
  peri__parallel((j.batch * j.points + j.per - 1) / j.per, sample_chunk, &j);
  return y;
}

/* dx of grid_sample: x, one vector for each point, added to its four pixels. */
peri_tensor *peri__grid_spread_forward (const peri_call *c) {
  char tx[PERI_SHAPETEXT], tg[PERI_SHAPETEXT];
  if (!check_shapes(c)) return NULL;
  peri_tensor *x = peri__packed(c->in[0]), *grid = peri__packed(c->in[1]);
  if (!x || !grid) return NULL;
  peri_dims shape = peri_shape_of(x), sizes = c->a.dims;
  if (sizes.n != 2 || x->shape[1] != grid->shape[1] || x->shape[2] != grid->shape[2])
    return peri_null(PERI_E_SHAPE, "grid_spread: x of shape %s must have one vector for each point of "
                     "grid, of shape %s, and sizes {height, width}", peri_shape_text(x, tx),
                     peri_shape_text(grid, tg));
  for (int i = 1; i < 3; i++) shape.at[i] = sizes.at[i - 1];
  peri_tensor *y = peri_full(PERI_REAL, shape, 0);
  if (!y || y->count == 0 || x->count == 0) return y;
  grid_job j = new_job(shape, grid, c->a.mode);
  j.from = x->data;
  j.to = y->data;
  j.blocks = (j.channels + COLUMNS - 1) / COLUMNS;
  peri__parallel(j.batch * j.blocks, spread_chunk, &j);
  return y;
}

/* --- by the grid --- */

/* Constants of the points: for corner k the row of (batch h w) to look at and 1 inside, else 0; the
   first pixel of each coordinate; and 1 where the coordinate moves. */
typedef struct {
  peri_tensor *row[4], *inside[4], *first[2], *moves[2];
} table;

static bool make_table (peri_dims image, peri_tensor *grid, int mode, table *t) {
  grid = peri__packed(grid);
  if (!grid) return false;
  grid_job j = new_job(image, grid, mode);
  int64_t all = j.batch * j.points;
  peri_dims list = one_axis((int) 0), column = {.n = 2, .at = {all, 1}};
  list.at[0] = all;
  for (int k = 0; k < 4; k++) {
    t->row[k] = peri_empty(PERI_INDEX, list);
    t->inside[k] = peri_empty(PERI_REAL, column);
  }
  for (int k = 0; k < 2; k++) {
    t->first[k] = peri_empty(PERI_REAL, column);
    t->moves[k] = peri_empty(PERI_REAL, column);
  }
  if (peri_error()) return false;
  for (int64_t p = 0; p < all; p++) {
    const peri_real *point = j.grid + 2 * p;
    corners c = look(&j, point);
    for (int k = 0; k < 4; k++) {
      bool inside = c.at[k] >= 0;
      ((int32_t *) t->row[k]->data)[p] =
        (int32_t) (p / j.points * j.h * j.w + (inside ? c.at[k] : 0)) + 1;
      ((peri_real *) t->inside[k]->data)[p] = inside;
    }
    for (int k = 0; k < 2; k++) {
      double at = (double) point[k], n = (double) (k ? j.h : j.w);
      at = ((at + 1) * n - 1) / 2;
      ((peri_real *) t->first[k]->data)[p] = (peri_real) floor(at);
      ((peri_real *) t->moves[k]->data)[p] = k ? c.moves_y : c.moves_x;
    }
  }
  return true;
}

/* d <g, grid_sample(x, grid)> / d grid, in operations:
     d/dx = w / 2  sum over channels of  g [(v01 - v00) (1 - y) + (v11 - v10) y],  and so by y. */
static peri_tensor *slope (peri_tensor *x, peri_tensor *grid, peri_tensor *g, int mode) {
  if (!x || !grid || !g) return NULL;
  peri_dims image = peri_shape_of(x), points = peri_shape_of(grid);
  int64_t all = points.at[0] * points.at[1] * points.at[2], pixels = image.at[0] * image.at[1] * image.at[2];
  peri_dims flat = {.n = 2, .at = {pixels, image.at[3]}}, pairs = {.n = 2, .at = {all, 2}};
  table t;
  if (pixels > INT32_MAX)
    return peri_null(PERI_E_SHAPE, "grid_sample: %lld pixels are too many for an index", (long long) pixels);
  if (pixels == 0 || all == 0) return peri_full(PERI_REAL, points, 0);
  if (!make_table(image, grid, mode, &t)) return NULL;
  peri_tensor *v[4], *f[2], *d[2], *one = peri_number(1);
  x = peri_reshape(x, flat);
  grid = peri_reshape(grid, pairs);
  flat.at[0] = all;
  g = peri_reshape(g, flat);
  for (int k = 0; k < 4; k++) v[k] = peri_mul(peri_index_select(x, t.row[k], 0), t.inside[k]);
  for (int k = 0; k < 2; k++) {
    double n = (double) image.at[2 - k];
    peri_tensor *at = peri_add(scale(peri_slice(grid, 1, k, k + 1, 1), n / 2), peri_number((n - 1) / 2));
    if (mode == BORDER) at = peri_clamp(at, 0, n - 1), t.first[k] = peri_clamp(t.first[k], 0, n - 1);
    f[k] = peri_sub(at, t.first[k]);
  }
  for (int k = 0; k < 2; k++) {
    peri_tensor *near = peri_sub(v[k ? 2 : 1], v[0]), *far = peri_sub(v[3], v[k ? 1 : 2]), *w = f[1 - k];
    peri_tensor *both = peri_add(peri_mul(near, peri_sub(one, w)), peri_mul(far, w));
    d[k] = peri_mul(peri_sum(peri_mul(g, both), one_axis(1), true), t.moves[k]);
    d[k] = scale(d[k], (double) image.at[2 - k] / 2);
  }
  return peri_reshape(peri_concat(2, d, 1), points);
}

void peri__grid_sample_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *grid = peri_input(n, 1);
  peri_dims sizes = {.n = 2, .at = {x->shape[1], x->shape[2]}};
  if (peri_wanted(n, 0)) dx[0] = peri_grid_spread(g, grid, sizes, n->a.mode);
  if (peri_wanted(n, 1)) dx[1] = slope(x, grid, g, n->a.mode);
}

void peri__grid_spread_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *grid = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_grid_sample(g, grid, n->a.mode);
  if (peri_wanted(n, 1)) dx[1] = slope(g, grid, x, n->a.mode);
}
