/* Images (batch, 1 to 3 spatial axes.., channels) at other sizes: one matrix for each axis. */

#include <math.h>

#include "op/spatial.h"

enum { NEAREST, BILINEAR, BICUBIC, AREA };

typedef struct {
  peri__windows w;
  int mode;
} resizing;

static int64_t into (int64_t i, int64_t n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Keys 1981, cubic convolution with a = -0.75, of a point at distance d. */
static double cubic (double d) {
  const double a = -0.75;
  d = fabs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Pixels are areas: the centre of pixel i of m lies at (i + 1/2) n / m - 1/2 among n.  What falls off
   an edge is taken from the edge. */
static bool resize_taps (const void *arg, int axis, int64_t n, int64_t m, peri__taps *t) {
  const resizing *r = arg;
  if (r->mode == AREA) return peri__average_taps(&r->w, axis, n, m, t);
  if (!peri__taps_open(t, n, m, m * (r->mode == BICUBIC ? 4 : 2))) return false;
  for (int64_t i = 0; i < m; i++) {
    double at = ((double) i + 0.5) * (double) n / (double) m - 0.5;
    if (r->mode == BILINEAR && at < 0) at = 0;
    int64_t low = (int64_t) floor(at);
    double rest = at - (double) low;
    if (r->mode == NEAREST) {
      peri__taps_add(t, i * n / m, 1);
    } else if (r->mode == BILINEAR) {
      peri__taps_add(t, into(low, n), 1 - rest);
      peri__taps_add(t, into(low + 1, n), rest);
    } else {
      for (int k = -1; k <= 2; k++) peri__taps_add(t, into(low + k, n), cubic(rest - k));
    }
    peri__taps_end_row(t);
  }
  return true;
}

static peri_dims spatial_sizes (peri_dims in) {
  peri_dims sizes = {.n = in.n - 2};
  for (int a = 0; a < sizes.n; a++) sizes.at[a] = in.at[a + 1];
  return sizes;
}

static peri_tensor *resize (const peri_call *c, int mode, bool adjoint) {
  resizing r = {.mode = mode};
  peri_tensor *x = c->in[0];
  peri_dims in = peri_shape_of(x), sizes = c->a.dims;
  if (!peri__adaptive_windows(peri_ops[c->op].name, in, sizes, &r.w)) return NULL;
  if (adjoint)                               /* sizes are those of what was resized to x */
    for (int a = 0; a < r.w.axes; a++) {
      r.w.n[a] = sizes.at[a];
      r.w.m[a] = in.at[a + 1];
    }
  return peri__along_axes(x, r.w.axes, r.w.n, r.w.m, adjoint, resize_taps, &r);
}

peri_tensor *peri__resize_forward (const peri_call *c) {
  return resize(c, c->a.mode, false);
}
void peri__resize_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_unresize(g, spatial_sizes(peri_input_shape(n, 0)), n->a.mode);
}

peri_tensor *peri__unresize_forward (const peri_call *c) {
  return resize(c, c->a.mode, true);
}
void peri__unresize_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_resize(g, spatial_sizes(peri_input_shape(n, 0)), n->a.mode);
}

/* y_o = mean of x over floor(o n / m) .. ceil((o + 1) n / m), along each axis */
peri_tensor *peri__adaptive_avg_pool_forward (const peri_call *c) {
  return resize(c, AREA, false);
}
void peri__adaptive_avg_pool_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_unresize(g, spatial_sizes(peri_input_shape(n, 0)), AREA);
}
