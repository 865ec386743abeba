/* Copies between strided arrays.  Two axes make a tile: the one that is dense in the result and the
   one that is dense in the source, so that a line of either is used whole while it is in the
   cache. */

#include "kernel/copy.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "perigee/tensor.h"

enum { RUN = 16384, SIDE = 32, CHUNK = 65536 };

typedef struct {
  int64_t shape, to, from;              /* of one axis: entries, and the steps in both arrays */
} copy_axis;

typedef struct {
  int n;
  copy_axis axis[PERI_MAXDIM + 2];      /* the last two are the tile's, p and q */
  int64_t block_p, block_q, grid_p, grid_q, tiles, chunk;
  size_t size;
  char *to;
  const char *from;
} copy_job;

/* A transposed square of words: rows of the source become columns of the result. */
static void turn_4x4 (float *to, int64_t to_step, const float *from, int64_t from_step) {
  __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + from_step);
  __m128 c = _mm_loadu_ps(from + 2 * from_step), d = _mm_loadu_ps(from + 3 * from_step);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + to_step, b);
  _mm_storeu_ps(to + 2 * to_step, c);
  _mm_storeu_ps(to + 3 * to_step, d);
}

/* Elements of any type, moved bit for bit. */
typedef uint8_t item1 __attribute__((may_alias));
typedef uint32_t item4 __attribute__((may_alias));
typedef uint64_t item8 __attribute__((may_alias));

#define MOVE(type) \
  for (int64_t j = 0; j < p.shape; j++) { \
    type *t = (type *) to + j * p.to; \
    const type *f = (const type *) from + j * p.from; \
    if (q.to == 1 && q.from == 1) for (int64_t i = 0; i < q.shape; i++) t[i] = f[i]; \
    else for (int64_t i = 0; i < q.shape; i++) t[i * q.to] = f[i * q.from]; \
  }

static void move (copy_axis p, copy_axis q, void *to, const void *from, size_t size) {
  if (size == 4) { MOVE(item4) }
  else if (size == 8) { MOVE(item8) }
  else { MOVE(item1) }
}

/* q is dense in the result and p in the source: 4 x 4 squares, sixteen source lines at a time, and
   the edges one by one. */
static void turn (copy_axis p, copy_axis q, item4 *to, const item4 *from) {
  int64_t whole_p = p.shape / 4 * 4, whole_q = q.shape / 4 * 4;
  for (int64_t i0 = 0; i0 < whole_q; i0 += 16)
    for (int64_t j = 0; j < whole_p; j += 4)
      for (int64_t i = i0; i < whole_q && i < i0 + 16; i += 4)
        turn_4x4((float *) to + j * p.to + i, p.to, (const float *) from + i * q.from + j, q.from);
  copy_axis rest_p = {p.shape - whole_p, p.to, p.from}, rest_q = {q.shape - whole_q, q.to, q.from};
  move(rest_p, q, to + whole_p * p.to, from + whole_p, 4);
  p.shape = whole_p;
  move(p, rest_q, to + whole_q, from + whole_q * q.from, 4);
}

static void copy_tile (copy_axis p, copy_axis q, char *to, const char *from, size_t size) {
  if (q.to == 1 && q.from == 1 && q.shape * (int64_t) size >= 64)
    for (int64_t j = 0; j < p.shape; j++)
      memcpy(to + j * p.to * (ptrdiff_t) size, from + j * p.from * (ptrdiff_t) size,
             (size_t) q.shape * size);
  else if (size == 4 && q.to == 1 && p.from == 1)
    turn(p, q, (item4 *) to, (const item4 *) from);
  else
    move(p, q, to, from, size);
}

static int64_t least (int64_t a, int64_t b) {
  return a < b ? a : b;
}

static void copy_chunk (void *arg, int64_t chunk) {
  const copy_job *c = arg;
  int64_t end = least((chunk + 1) * c->chunk, c->tiles);
  for (int64_t tile = chunk * c->chunk; tile < end; tile++) {
    copy_axis p = c->axis[c->n - 2], q = c->axis[c->n - 1];
    int64_t at_q = tile % c->grid_q * c->block_q, rest = tile / c->grid_q;
    int64_t at_p = rest % c->grid_p * c->block_p;
    int64_t to = at_q * q.to + at_p * p.to, from = at_q * q.from + at_p * p.from;
    rest /= c->grid_p;
    for (int i = c->n - 3; i >= 0; i--) {
      int64_t k = rest % c->axis[i].shape;
      to += k * c->axis[i].to;
      from += k * c->axis[i].from;
      rest /= c->axis[i].shape;
    }
    q.shape = least(c->block_q, q.shape - at_q);
    p.shape = least(c->block_p, p.shape - at_p);
    copy_tile(p, q, c->to + to * (ptrdiff_t) c->size, c->from + from * (ptrdiff_t) c->size, c->size);
  }
}

/* The axes that have more than one entry, neighbours merged where one step serves both. */
static void merge_axes (copy_job *c, int ndim, const int64_t *shape, const int64_t *to,
                        const int64_t *from) {
  for (int i = 0; i < ndim; i++) {
    copy_axis *last = c->n > 0 ? &c->axis[c->n - 1] : NULL;
    if (shape[i] == 1) continue;
    if (last && last->to == to[i] * shape[i] && last->from == from[i] * shape[i])
      *last = (copy_axis) {last->shape * shape[i], to[i], from[i]};
    else
      c->axis[c->n++] = (copy_axis) {shape[i], to[i], from[i]};
  }
}

static void move_to_end (copy_job *c, int which) {
  copy_axis a = c->axis[which];
  memmove(c->axis + which, c->axis + which + 1, (size_t) (c->n - which - 1) * sizeof a);
  c->axis[c->n - 1] = a;
}

/* Bring p and q to the end: q with the smallest step in the result, p in the source. */
static void choose_tile (copy_job *c) {
  int best = c->n - 1;
  while (c->n < 2) {
    memmove(c->axis + 1, c->axis, (size_t) c->n++ * sizeof c->axis[0]);
    c->axis[0] = (copy_axis) {1, 0, 0};
    best++;
  }
  for (int i = c->n - 1; i >= 0; i--)
    if (c->axis[i].shape > 1 && llabs(c->axis[i].to) < llabs(c->axis[best].to)) best = i;
  move_to_end(c, best);
  best = c->n - 2;
  for (int i = c->n - 2; i >= 0; i--)
    if (c->axis[i].from != 0 && llabs(c->axis[i].from) < llabs(c->axis[best].from)) best = i;
  copy_axis q = c->axis[--c->n];
  move_to_end(c, best);
  c->axis[c->n++] = q;
}

void peri__copy (int ndim, const int64_t *shape, void *to, const int64_t *to_stride,
                 const void *from, const int64_t *from_stride, size_t size) {
  copy_job c = {.to = to, .from = from, .size = size, .tiles = 1};
  for (int i = 0; i < ndim; i++) if (shape[i] == 0) return;
  merge_axes(&c, ndim, shape, to_stride, from_stride);
  choose_tile(&c);
  copy_axis p = c.axis[c.n - 2], q = c.axis[c.n - 1];
  bool run = q.to == 1 && q.from == 1;
  c.block_q = least(q.shape, run ? RUN : SIDE);
  c.block_p = least(p.shape, (run ? RUN : SIDE * SIDE) / c.block_q);
  c.grid_p = (p.shape + c.block_p - 1) / c.block_p;
  c.grid_q = (q.shape + c.block_q - 1) / c.block_q;
  for (int i = 0; i < c.n - 2; i++) c.tiles *= c.axis[i].shape;
  c.tiles *= c.grid_p * c.grid_q;
  c.chunk = CHUNK / (c.block_p * c.block_q);
  peri__parallel((c.tiles + c.chunk - 1) / c.chunk, copy_chunk, &c);
}
