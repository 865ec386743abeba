/* Convolution on threads: a task is cut into pieces by its sizes alone, images or bands of the first
   spatial axis; each piece is a smaller convolution that one thread computes. */

#include "convolution/convolution.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "blas.h"
#include "convolution/dnnconv.h"
#include "convolution/im2col.h"
#include "dnn.h"
#include "memory.h"
#include "parallel.h"

/* Multiply-adds below which a cut costs more than it gains.  A weight's pieces are sums that have to
   be added up, so there are few, and fewer where they are large. */
enum { PIECE = 1 << 21, MOSTPIECES = 32, MOSTSUMS = 8, SUMS = 1 << 20, STRETCH = 1 << 14, TILE = 16 };

typedef enum { BY_PRODUCTS, BY_CHANNELS, BY_LIBRARY } method;

typedef struct {
  peri__conv c;
  peri_real *x, *w, *y;
  peri__dnnconv *library;
} piece;

typedef struct {
  peri__conv_task task;
  method how;
  int64_t pieces, weights;      /* pieces; numbers of one sum of weights */
  const peri_real *bias;
  peri_real *sums;              /* one for each piece, one after another */
  char *scratch;
  size_t scratch_bytes;         /* of one slot */
  int slots;
  atomic_int taken[MOSTPIECES], failed;
  piece piece[MOSTPIECES];
} job;

static bool portable_only;

void peri__conv_portable_only (bool only) {
  portable_only = only;
}

const char *peri_conv_name (void) {
  static char name[160];
  if (portable_only || sizeof(peri_real) != sizeof(float)) return "portable";
  if (peri__dnn_ready()) return peri__dnn_name();
  snprintf(name, sizeof name, "portable, oneDNN is %s", peri__dnn_name());
  return name;
}

static int64_t volume (const int64_t size[3]) { return size[0] * size[1] * size[2]; }

/* --- cutting --- */

/* Positions [from, to) along `axis` of y, or of x where that is computed, as a convolution of its
   own: of the other array only what they meet. */
static piece take_band (const piece *all, peri__conv_task task, int axis, int64_t from, int64_t to) {
  piece p = *all;
  const peri__conv *c = &all->c;
  int64_t s = c->stride[axis], low = c->low[axis], reach = peri__conv_reach(c, axis), a, b;
  int64_t rest_x = c->in, rest_y = c->out;
  for (int i = axis + 1; i < 3; i++) {
    rest_x *= c->x[i];
    rest_y *= c->y[i];
  }
  if (task == PERI__CONV_INPUT) {
    int64_t first = from + low - (reach - 1), last = (to - 1 + low) / s;
    a = first > 0 ? (first + s - 1) / s : 0;
    b = last + 1 < c->y[axis] ? last + 1 : c->y[axis];
    p.c.low[axis] = low + from - a * s;
    p.c.x[axis] = to - from;
    p.c.y[axis] = b - a;
    p.x += from * rest_x;
    p.y += a * rest_y;
  } else {
    int64_t first = from * s - low, last = (to - 1) * s - low + reach;
    a = first > 0 ? first : 0;
    b = last < c->x[axis] ? last : c->x[axis];
    p.c.low[axis] = a - first;
    p.c.x[axis] = b - a;
    p.c.y[axis] = to - from;
    p.x += a * rest_x;
    p.y += from * rest_y;
  }
  return p;
}

/* Do all bands of this length meet something of the other array, with padding that is no less than
   nothing? */
static bool can_cut (const piece *all, peri__conv_task task, int axis, int64_t length) {
  const peri__conv *c = &all->c;
  int64_t size = task == PERI__CONV_INPUT ? c->x[axis] : c->y[axis];
  for (int64_t from = 0; from < size; from += length) {
    piece p = take_band(all, task, axis, from, from + length < size ? from + length : size);
    if (p.c.low[axis] < 0 || p.c.x[axis] < 1 || p.c.y[axis] < 1) return false;
  }
  return true;
}

/* Fill in the pieces: images where there are enough, else bands of each image. */
static void cut (job *j, const piece *all) {
  const peri__conv *c = &all->c;
  double work = (double) c->batch * (double) volume(c->y) * (double) volume(c->k)
                * (double) (c->in / c->groups) * (double) c->out;
  int64_t most = MOSTPIECES, images, bands = 1, length, rest_x = c->in * volume(c->x),
          rest_y = c->out * volume(c->y);
  if (j->task == PERI__CONV_WEIGHT) {
    for (most = MOSTSUMS; most > 2 && most * j->weights > 2 * SUMS; most /= 2) continue;
  }
  if (work / PIECE < (double) most) most = (int64_t) (work / PIECE) + 1;
  images = (c->batch + most - 1) / most;
  int axis = 3 - (int) c->axes;
  int64_t size = j->task == PERI__CONV_INPUT ? c->x[axis] : c->y[axis], s = c->stride[axis];
  if (images == 1 && most / c->batch > 1) bands = most / c->batch;
  length = ((size + bands - 1) / bands + s - 1) / s * s;
  if (length >= size || !can_cut(all, j->task, axis, length)) length = size;
  for (int64_t n = 0; n < c->batch; n += images) {
    piece one = *all;
    one.c.batch = c->batch - n < images ? c->batch - n : images;
    one.x += n * rest_x;
    one.y += n * rest_y;
    for (int64_t from = 0; from < size; from += length)
      j->piece[j->pieces++] = length == size ? one
        : take_band(&one, j->task, axis, from, from + length < size ? from + length : size);
  }
}

/* --- choosing --- */

/* Channels of a result, or of one of the arrays that a weight comes from, below which oneDNN's
   kernels, which compute 16 at once, fall behind matrix products (11 against 40 to 80 GFLOP/s for
   one).  With a stride its weights do too, when a gathered row is LONG (125 against 150). */
enum { FEW = 8, LONG = 256 };

static bool wants_products (const job *j) {
  const peri__conv *c = &j->piece[0].c;
  if (c->groups > 1) return false;
  if (j->task == PERI__CONV_INPUT) return c->in < FEW;
  return j->task == PERI__CONV_WEIGHT && volume(c->stride) > 1 && volume(c->k) * c->in >= LONG;
}

/* A primitive for every piece, all with one layout of weights; false when there are none. */
static bool find_primitives (job *j) {
  bool bias = j->task == PERI__CONV_OUTPUT && j->bias;
  for (int i = 0; i < j->pieces; i++) {
    piece *p = &j->piece[i];
    p->library = peri__dnnconv_find(j->task, &p->c, bias);
    if (!p->library || !peri__dnnconv_same_weights(p->library, j->piece[0].library)) return false;
    size_t bytes = peri__dnnconv_scratch(p->library);
    if (bytes > j->scratch_bytes) j->scratch_bytes = bytes;
  }
  return true;
}

static void release_primitives (job *j) {
  for (int i = 0; i < j->pieces; i++) {
    peri__dnnconv_release(j->piece[i].library);
    j->piece[i].library = NULL;
  }
}

/* Settle who computes, and how much scratch a piece needs.  False with a failure. */
static bool choose (job *j) {
  const peri__conv *c = &j->piece[0].c;
  j->how = c->groups > 1 && c->groups == c->in && c->groups == c->out ? BY_CHANNELS : BY_LIBRARY;
  if (j->how == BY_CHANNELS) return true;
  if (!portable_only && !wants_products(j) && find_primitives(j)) return true;
  release_primitives(j);
  j->how = BY_PRODUCTS;
  j->scratch_bytes = 0;
  for (int i = 0; i < j->pieces; i++) {
    size_t bytes = peri__im2col_scratch(&j->piece[i].c) * sizeof(peri_real);
    if (bytes > j->scratch_bytes) j->scratch_bytes = bytes;
  }
  return peri__blas_ready();
}

/* --- computing --- */

/* A piece of scratch that nobody uses.  As many threads as there are slots come here at most. */
static int take_slot (job *j) {
  for (int i = 0; ; i = i + 1 < j->slots ? i + 1 : 0)
    if (!atomic_exchange(&j->taken[i], 1)) return i;
}

static void run_piece (void *arg, int64_t chunk) {
  job *j = arg;
  piece *p = &j->piece[chunk];
  int slot = take_slot(j);
  void *scratch = j->scratch ? j->scratch + (size_t) slot * j->scratch_bytes : NULL;
  if (j->how == BY_LIBRARY) {
    if (!peri__dnnconv_run(p->library, p->x, p->w, p->y, j->bias, scratch)) atomic_store(&j->failed, 1);
    if (j->task == PERI__CONV_INPUT && j->bias)
      peri__add_rows(p->x, p->c.batch * volume(p->c.x), p->c.in, j->bias);
  } else if (j->how == BY_CHANNELS) {
    peri__depthwise(j->task, &p->c, p->x, p->w, p->y, j->bias);
  } else {
    peri__im2col(j->task, &p->c, p->x, p->w, p->y, j->bias, scratch);
  }
  atomic_store(&j->taken[slot], 0);
}

/* Add up a stretch of the pieces' sums, in the order of the pieces. */
static void add_sums (void *arg, int64_t chunk) {
  job *j = arg;
  int64_t from = chunk * STRETCH, n = j->weights - from < STRETCH ? j->weights - from : STRETCH;
  for (int64_t i = 1; i < j->pieces; i++)
    peri__add_rows(j->sums + from, 1, n, j->sums + i * j->weights + from);
}

/* All pieces; w is where they find the weights or, in PERI__CONV_WEIGHT, leave their sums. */
static bool run_pieces (job *j, peri_real *w) {
  for (int i = 0; i < j->pieces; i++)
    j->piece[i].w = j->task == PERI__CONV_WEIGHT ? w + i * j->weights : w;
  j->sums = w;
  peri__parallel(j->pieces, run_piece, j);
  if (j->task == PERI__CONV_WEIGHT && j->pieces > 1)
    peri__parallel((j->weights + STRETCH - 1) / STRETCH, add_sums, j);
  return !atomic_load(&j->failed);
}

/* Weights go into the library's layout before, or come out of it after. */
static bool run_library (job *j, peri_real *plain, peri_real *own) {
  bool after = j->task == PERI__CONV_WEIGHT;
  peri__dnnconv *p = j->piece[0].library;
  return (after || peri__dnnconv_reorder(p, false, plain, own)) && run_pieces(j, own)
         && (!after || peri__dnnconv_reorder(p, true, plain, own));
}

static bool convolve (const char *op, peri__conv_task task, const peri__conv *c, peri_real *x,
                      peri_real *w, peri_real *y, const peri_real *bias) {
  job j = {.task = task, .bias = bias, .weights = volume(c->k) * (c->in / c->groups) * c->out};
  cut(&j, &(piece) {.c = *c, .x = x, .w = w, .y = y});
  if (!choose(&j)) return false;
  bool library = j.how == BY_LIBRARY, sums = task == PERI__CONV_WEIGHT && j.pieces > 1, well = true;
  if (library)
    j.weights = (int64_t) (peri__dnnconv_weights(j.piece[0].library) / sizeof(peri_real));
  j.slots = (int) (j.pieces < peri_threads() ? j.pieces : peri_threads());
  j.scratch_bytes = (j.scratch_bytes + 63) / 64 * 64;
  size_t scratch = j.scratch_bytes * (size_t) j.slots, own = 0;
  if (library || sums) own = (size_t) j.weights * sizeof(peri_real);
  if (sums) own *= (size_t) j.pieces;
  peri_real *held = own ? peri__alloc(own) : w;
  j.scratch = scratch && held ? peri__alloc(scratch) : NULL;
  if (!held || (scratch && !j.scratch)) well = false;
  else if (!(library ? run_library(&j, w, held) : run_pieces(&j, held)))
    well = peri_fail(PERI_E_SYSTEM, "%s: oneDNN failed; PERIGEE_ONEDNN=off does without it", op) == 0;
  else if (sums && !library)
    memcpy(w, held, (size_t) j.weights * sizeof(peri_real));
  release_primitives(&j);
  if (j.scratch) peri__free(j.scratch, scratch);
  if (own && held) peri__free(held, own);
  return well;
}

/* --- the same form with x and y exchanged --- */

/* With stride 1, o + k dilation - low = i is i + k' dilation - low' = o for k' = size - 1 - k and
   low' = reach - 1 - low: y is to x as x is to y, under the filter turned round. */
static bool can_turn (const peri__conv *c) {
  for (int a = 0; a < 3; a++)
    if (c->stride[a] != 1 || c->low[a] > peri__conv_reach(c, a) - 1) return false;
  return true;
}

static peri__conv turn (const peri__conv *c) {
  peri__conv t = *c;
  t.in = c->out;
  t.out = c->in;
  for (int a = 0; a < 3; a++) {
    t.x[a] = c->y[a];
    t.y[a] = c->x[a];
    t.low[a] = peri__conv_reach(c, a) - 1 - c->low[a];
  }
  return t;
}

/* Is it faster turned?  oneDNN computes outputs better than inputs; few channels want to be those of
   x. */
static bool should_turn (peri__conv_task task, const peri__conv *c) {
  if (!can_turn(c)) return false;
  if (task == PERI__CONV_INPUT) return c->groups > 1 || c->in >= FEW;
  return c->groups == 1 && c->out < FEW && (task == PERI__CONV_OUTPUT || c->in >= FEW);
}

typedef struct {
  const peri__conv *c;
  const peri_real *from;
  peri_real *to;
} turning;

/* One tap of c's weights, (in / groups, out), to that of the turned problem, (out / groups, in). */
static void turn_tap (void *arg, int64_t tap) {
  const turning *t = arg;
  const peri__conv *c = t->c;
  int64_t in = c->in / c->groups, out = c->out / c->groups, taps = volume(c->k);
  for (int64_t g = 0; g < c->groups; g++) {
    const peri_real *from = t->from + tap * in * c->out + g * out;
    peri_real *to = t->to + (taps - 1 - tap) * out * c->in + g * in;
    for (int64_t i = 0; i < in; i += TILE)
      for (int64_t o = 0; o < out; o += TILE)
        for (int64_t p = o; p < out && p < o + TILE; p++)
          for (int64_t q = i; q < in && q < i + TILE; q++)
            to[p * c->in + q] = from[q * c->out + p];
  }
}

static void turn_weights (const peri__conv *c, const peri_real *from, peri_real *to) {
  peri__parallel(volume(c->k), turn_tap, &(turning) {c, from, to});
}

bool peri__convolve (const char *op, peri__conv_task task, const peri__conv *c, peri_real *x,
                     peri_real *w, peri_real *y, const peri_real *bias) {
  if (!should_turn(task, c)) return convolve(op, task, c, x, w, y, bias);
  peri__conv t = turn(c);
  size_t bytes = (size_t) (volume(c->k) * (c->in / c->groups) * c->out) * sizeof(peri_real);
  peri_real *turned = peri__alloc(bytes);
  if (!turned) return false;
  if (task != PERI__CONV_WEIGHT) turn_weights(c, w, turned);
  peri__conv_task other = task == PERI__CONV_WEIGHT ? task
                        : task == PERI__CONV_INPUT ? PERI__CONV_OUTPUT : PERI__CONV_INPUT;
  bool well = convolve(op, other, &t, y, turned, x, bias);
  if (well && task == PERI__CONV_WEIGHT) turn_weights(&t, turned, w);
  peri__free(turned, bytes);
  return well;
}
