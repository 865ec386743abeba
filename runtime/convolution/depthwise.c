/* Convolution where every channel has a filter of its own: no product of matrices, so a loop over
   channels, which stand side by side. */

#include "convolution/im2col.h"
#include "kernel/dispatch.h"

enum { BLOCK = 64 };            /* channels summed in registers */

/* A position of one array and where it stands along each axis. */
typedef struct { int64_t n, at[3]; } place;

static inline __attribute__((always_inline))
place place_of (int64_t p, const int64_t size[3]) {
  return (place) {p / size[2] / size[1] / size[0],
                  {p / size[2] / size[1] % size[0], p / size[2] % size[1], p % size[2]}};
}

/* The position of the other array that meets `p` at tap k, or -1: in x where p is of y, and back. */
static inline __attribute__((always_inline))
int64_t meet (const peri__conv *c, bool in_x, const place *p, const int64_t k[3]) {
  const int64_t *size = in_x ? c->x : c->y;
  int64_t at = p->n;
  for (int a = 0; a < 3; a++) {
    int64_t shift = k[a] * c->dilation[a] - c->low[a], i;
    if (in_x) i = p->at[a] * c->stride[a] + shift;
    else {
      i = p->at[a] - shift;
      if (i < 0 || i % c->stride[a] != 0) return -1;
      i /= c->stride[a];
    }
    if (i < 0 || i >= size[a]) return -1;
    at = at * size[a] + i;
  }
  return at;
}

/* to[p] = bias + the sum over taps of from[where p meets it] w[tap] */
static inline __attribute__((always_inline))
void sum_taps (const peri__conv *c, bool in_x, const peri_real *from, const peri_real *w,
               peri_real *to, const peri_real *bias, int64_t first, int64_t width) {
  const int64_t *size = in_x ? c->y : c->x, channels = c->in;
  int64_t positions = c->batch * size[0] * size[1] * size[2], k[3];
  for (int64_t p = 0; p < positions; p++) {
    peri_real sum[BLOCK] = {0};
    place at = place_of(p, size);
    const peri_real *f = w + first;
    if (bias) for (int64_t j = 0; j < width; j++) sum[j] = bias[first + j];
    for (k[0] = 0; k[0] < c->k[0]; k[0]++)
      for (k[1] = 0; k[1] < c->k[1]; k[1]++)
        for (k[2] = 0; k[2] < c->k[2]; k[2]++, f += channels) {
          int64_t i = meet(c, in_x, &at, k);
          if (i < 0) continue;
          const peri_real *x = from + i * channels + first;
          for (int64_t j = 0; j < width; j++) sum[j] += x[j] * f[j];
        }
    for (int64_t j = 0; j < width; j++) to[p * channels + first + j] = sum[j];
  }
}

/* sum += the products of x and y along one row of y that tap k meets, its start at `x` and `y` */
static inline __attribute__((always_inline))
void sum_row (const peri__conv *c, int64_t k, const peri_real *x, const peri_real *y, int64_t width,
              peri_real *sum) {
  int64_t s = c->stride[2], shift = k * c->dilation[2] - c->low[2];
  int64_t from = shift < 0 ? (-shift + s - 1) / s : 0;
  int64_t to = c->x[2] > shift ? (c->x[2] - 1 - shift) / s + 1 : 0;
  if (to > c->y[2]) to = c->y[2];
  for (int64_t o = from; o < to; o++) {
    const peri_real *a = x + (o * s + shift) * c->in, *b = y + o * c->in;
    for (int64_t j = 0; j < width; j++) sum[j] += a[j] * b[j];
  }
}

/* w[tap] = the sum over positions of x y, image by image, so that an image is read from the
   cache */
static inline __attribute__((always_inline))
void sum_positions (const peri__conv *c, const peri_real *x, const peri_real *y, peri_real *w,
                    int64_t first, int64_t width) {
  int64_t taps = c->k[0] * c->k[1] * c->k[2], channels = c->in;
  for (int64_t k = 0; k < taps; k++)
    for (int64_t j = 0; j < width; j++) w[k * channels + first + j] = 0;
  for (int64_t n = 0; n < c->batch; n++)
    for (int64_t k = 0; k < taps; k++) {
      peri_real sum[BLOCK] = {0};
      int64_t k0 = k / c->k[2] / c->k[1], k1 = k / c->k[2] % c->k[1];
      for (int64_t o0 = 0; o0 < c->y[0]; o0++)
        for (int64_t o1 = 0; o1 < c->y[1]; o1++) {
          int64_t i0 = o0 * c->stride[0] + k0 * c->dilation[0] - c->low[0];
          int64_t i1 = o1 * c->stride[1] + k1 * c->dilation[1] - c->low[1];
          if (i0 < 0 || i0 >= c->x[0] || i1 < 0 || i1 >= c->x[1]) continue;
          sum_row(c, k % c->k[2], x + ((n * c->x[0] + i0) * c->x[1] + i1) * c->x[2] * channels + first,
                  y + ((n * c->y[0] + o0) * c->y[1] + o1) * c->y[2] * channels + first, width, sum);
        }
      for (int64_t j = 0; j < width; j++) w[k * channels + first + j] += sum[j];
    }
}

PERI__BODY depthwise_body (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                           peri_real *y, const peri_real *bias) {
  for (int64_t first = 0; first < c->in; first += BLOCK) {
    int64_t width = c->in - first < BLOCK ? c->in - first : BLOCK;
    if (task == PERI__CONV_OUTPUT) {
      if (width == BLOCK) sum_taps(c, true, x, w, y, bias, first, BLOCK);
      else sum_taps(c, true, x, w, y, bias, first, width);
    } else if (task == PERI__CONV_INPUT) {
      if (width == BLOCK) sum_taps(c, false, y, w, x, bias, first, BLOCK);
      else sum_taps(c, false, y, w, x, bias, first, width);
    } else {
      if (width == BLOCK) sum_positions(c, x, y, w, first, BLOCK);
      else sum_positions(c, x, y, w, first, width);
    }
  }
}
PERI__DISPATCH(depthwise, (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                           peri_real *y, const peri_real *bias), (task, c, x, w, y, bias))

void peri__depthwise (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                      peri_real *y, const peri_real *bias) {
  depthwise(task, c, x, w, y, bias);
}
