/* Copies in another order: rotated, repeated, cut to a triangle, or folded between space and
   channels.  Any dtype; derivatives only for real. */

#include <string.h>

#include "kernel/copy.h"
#include "op/op.h"
#include "parallel.h"

enum { CHUNK = 65536 };

/* Entries to .. to + n of an axis of y become entries from .. from + n of x. */
static void copy_part (peri_tensor *y, const peri_tensor *x, int axis, int64_t to, int64_t from,
                       int64_t n) {
  ptrdiff_t size = (ptrdiff_t) peri_itemsize(x->dtype);
  int64_t shape[PERI_MAXDIM];
  if (n == 0 || x->count == 0) return;
  for (int i = 0; i < x->ndim; i++) shape[i] = i == axis ? n : x->shape[i];
  peri__copy(x->ndim, shape, (char *) y->data + to * y->stride[axis] * size, y->stride,
             (char *) x->data + from * x->stride[axis] * size, x->stride, (size_t) size);
}

/* y_((i + shift) mod n) = x_i */
peri_tensor *peri__roll_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  int axis = peri__axis("roll", c->a.axis, x->ndim);
  if (axis < 0) return NULL;
  peri_tensor *y = peri_empty(x->dtype, peri_shape_of(x));
  int64_t n = x->shape[axis];
  if (!y || y->count == 0) return y;
  int64_t shift = c->a.i[0] % n;
  if (shift < 0) shift += n;
  copy_part(y, x, axis, shift, 0, n - shift);
  copy_part(y, x, axis, 0, n - shift, shift);
  return y;
}
void peri__roll_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int axis = n->a.axis < 0 ? n->a.axis + n->shape.n : n->a.axis;
  int64_t size = n->shape.at[axis];
  dx[0] = peri_roll(g, size ? -(n->a.i[0] % size) : 0, axis);
}

/* y_i = x_(i mod n) on every axis, count times as long; counts and axes are paired from the last. */
peri_tensor *peri__tile_forward (const peri_call *c) {
  char tx[PERI_SHAPETEXT], tc[PERI_SHAPETEXT];
  peri_tensor *x = c->in[0];
  peri_dims counts = c->a.dims, shape = {.n = x->ndim > counts.n ? x->ndim : counts.n};
  int lead = shape.n - x->ndim, skip = shape.n - counts.n;
  bool good = true;
  for (int i = 0; i < shape.n; i++) {
    int64_t count = i < skip ? 1 : counts.at[i - skip];
    good &= count >= 0
            && !__builtin_mul_overflow(i < lead ? 1 : x->shape[i - lead], count, &shape.at[i]);
  }
  if (!good)
    return peri_null(PERI_E_ARGUMENT, "tile: counts %s do not suit x of shape %s; want numbers of at "
                     "least 0", peri__dims_text(counts, tc), peri_shape_text(x, tx));
  if (peri_count(shape) == 0) return peri_empty(x->dtype, shape);
  peri_tensor *y = NULL;
  const peri_tensor *from = peri__packed(x);
  int64_t before = x->count, behind = 1;               /* sizes of x, and of the axes that are done */
  for (int i = shape.n - 1; i >= 0 && from; i--) {
    int64_t n = i < lead ? 1 : x->shape[i - lead], count = shape.at[i] / n;
    before /= n;
    behind *= n;
    if (count == 1) continue;
    y = peri_empty(x->dtype, (peri_dims) {.n = 3, .at = {before, count, behind}});
    if (!y) return NULL;
    peri__copy(3, y->shape, y->data, y->stride, from->data, (int64_t []) {behind, 0, 1},
               peri_itemsize(x->dtype));
    behind *= count;
    from = y;
  }
  if (!from) return NULL;
  if (!y) y = peri_clone(x);
  if (y) peri__set_shape(y, shape);
  return y;
}
/* dx = the sum of g over the copies, one axis after the other */
void peri__tile_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0), out = n->shape;
  for (int i = 0; i < out.n && g; i++) {
    int at = i - (out.n - in.n);
    int64_t size = at < 0 ? 1 : in.at[at];
    if (size == out.at[i]) continue;
    peri_dims split = {.n = 3, .at = {1, size ? out.at[i] / size : 0, size}};
    for (int k = 0; k < i; k++) split.at[0] *= k < out.n - in.n ? 1 : in.at[k - (out.n - in.n)];
    for (int k = i + 1; k < out.n; k++) split.at[2] *= out.at[k];
    g = peri_sum(peri_reshape(g, split), one_axis(1), false);
  }
  dx[0] = peri_reshape(g, in);
}

/* --- triangles --- */

typedef struct {
  int64_t rows, columns, all, per, k;
  size_t size;
  bool upper;
  const char *x;
  char *y;
} triangle_job;

static void triangle_chunk (void *arg, int64_t chunk) {
  const triangle_job *j = arg;
  int64_t end = (chunk + 1) * j->per < j->all ? (chunk + 1) * j->per : j->all;
  size_t size = j->size;
  for (int64_t r = chunk * j->per; r < end; r++) {
    int64_t from = r % j->rows + j->k + !j->upper;     /* first column of the right-hand part */
    from = from < 0 ? 0 : from > j->columns ? j->columns : from;
    const char *x = j->x + (size_t) (r * j->columns) * size;
    char *y = j->y + (size_t) (r * j->columns) * size;
    size_t left = (size_t) from * size, right = (size_t) (j->columns - from) * size;
    if (j->upper) memset(y, 0, left), memcpy(y + left, x + left, right);
    else memcpy(y, x, left), memset(y + left, 0, right);
  }
}

static peri_tensor *triangle (const peri_call *c, bool upper) {
  peri_tensor *x = c->in[0];
  char text[PERI_SHAPETEXT];
  if (x->ndim < 2)
    return peri_null(PERI_E_SHAPE, "%s: x of shape %s has no matrices; want two axes or more",
                     peri_ops[c->op].name, peri_shape_text(x, text));
  peri_tensor *y = peri_empty(x->dtype, peri_shape_of(x));
  x = peri__packed(x);
  if (!x || !y || y->count == 0) return x ? y : NULL;
  triangle_job j = {.rows = x->shape[x->ndim - 2], .columns = x->shape[x->ndim - 1], .upper = upper,
                    .size = peri_itemsize(x->dtype), .x = x->data, .y = y->data};
  int64_t far = j.rows + j.columns, k = c->a.i[0];
  j.k = k > far ? far : k < -far ? -far : k;
  j.all = x->count / j.columns;
  j.per = 1 + CHUNK / j.columns;
  peri__parallel((j.all + j.per - 1) / j.per, triangle_chunk, &j);
  return y;
}

/* y_ij = x_ij where j <= i + k, else 0 */
peri_tensor *peri__tril_forward (const peri_call *c) {
  return triangle(c, false);
}
void peri__tril_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_tril(g, n->a.i[0]);
}

/* y_ij = x_ij where j >= i + k, else 0 */
peri_tensor *peri__triu_forward (const peri_call *c) {
  return triangle(c, true);
}
void peri__triu_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_triu(g, n->a.i[0]);
}

/* --- space and channels --- */

/* Packed x (batch, h, w, c r r) or (batch, h r, w r, c), as six axes in the order of the result. */
static peri_tensor *fold (const peri_call *c, bool to_depth) {
  peri_tensor *x = c->in[0];
  char text[PERI_SHAPETEXT];
  int64_t r = c->a.i[0];
  bool good = x->ndim == 4 && r >= 1 && r <= 1 << 15;
  if (good) good = to_depth ? x->shape[1] % r == 0 && x->shape[2] % r == 0 : x->shape[3] % (r * r) == 0;
  if (!good)
    return peri_null(PERI_E_SHAPE, "%s: x of shape %s must be (batch, height, width, channels) with %s "
                     "%lld", peri_ops[c->op].name, peri_shape_text(x, text), to_depth
                     ? "height and width divisible by the block," : "channels divisible by the square of "
                     "the block,", (long long) r);
  int64_t h = to_depth ? x->shape[1] / r : x->shape[1], w = to_depth ? x->shape[2] / r : x->shape[2];
  int64_t depth = to_depth ? x->shape[3] : x->shape[3] / (r * r);
  peri_dims deep = {.n = 4, .at = {x->shape[0], h, w, depth * r * r}};
  peri_dims wide = {.n = 4, .at = {x->shape[0], h * r, w * r, depth}};
  peri_tensor *y = peri_empty(x->dtype, to_depth ? deep : wide);
  if (!y || y->count == 0 || !(x = peri__packed(x))) return x ? y : NULL;
  /* axes (batch, h, row in block, w, column in block, channel), as they lie on either side */
  int64_t shape[] = {x->shape[0], h, r, w, r, depth};
  int64_t d = depth * r * r;
  int64_t in_deep[] = {h * w * d, w * d, r, d, 1, r * r};
  int64_t in_wide[] = {h * w * d, r * w * r * depth, w * r * depth, r * depth, depth, 1};
  peri__copy(6, shape, y->data, to_depth ? in_deep : in_wide, x->data, to_depth ? in_wide : in_deep,
             peri_itemsize(x->dtype));
  return y;
}

/* y[b, i, j, (c r + p) r + q] = x[b, i r + p, j r + q, c] */
peri_tensor *peri__space_to_depth_forward (const peri_call *c) {
  return fold(c, true);
}
void peri__space_to_depth_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_depth_to_space(g, n->a.i[0]);
}

/* Its inverse; Shi et al. 2016, sub-pixel convolution, with their order of channels. */
peri_tensor *peri__depth_to_space_forward (const peri_call *c) {
  return fold(c, false);
}
void peri__depth_to_space_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_space_to_depth(g, n->a.i[0]);
}
