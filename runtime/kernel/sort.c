/* Stable sorting of the rows of a packed (outer, n, inner) array.  Numbers become integers of the same
   order with their place behind, so that no two are equal; short rows are merged, long ones sorted
   by digits, and of few wanted the best are kept. */

#include "kernel/sort.h"

#include <string.h>

#include "memory.h"
#include "parallel.h"

enum { RUN = 12, FEW = 64, LONG = 128, DIGIT = 8, CHUNKS = 16, CHUNK = 4096 };

#ifdef PERI_DOUBLE
typedef uint64_t word;
__extension__ typedef unsigned __int128 item;
#else
typedef uint32_t word;
typedef uint64_t item;          /* the key above, the place in the lowest PLACE bits */
#endif
enum { PLACE = 32 };

typedef struct {
  const peri_real *x;
  int64_t rows, n, inner, k, per;
  bool descending, few;
  item *scratch;
  peri_real *y;
  int32_t *place;
} sort_job;

/* An integer that sorts as v does: -0 with 0, and NaN after everything. */
static word key_of (peri_real v, bool descending) {
  const word sign = (word) 1 << (8 * sizeof(word) - 1);
  word bits;
  if (v != v) return ~(word) 0;
  v += 0;                                   /* -0 becomes 0 */
  memcpy(&bits, &v, sizeof bits);
  bits = bits & sign ? ~bits : bits | sign;
  return descending ? ~bits : bits;
}

static item item_of (peri_real v, bool descending, int64_t i) {
  return (item) key_of(v, descending) << PLACE | (item) (i + 1);
}

/* Sort a by insertion, RUN at a time, then merge runs between a and b; returns where the result is. */
static item *merge_sort (item *a, item *b, int64_t n) {
  for (int64_t low = 0; low < n; low += RUN) {
    int64_t high = low + RUN < n ? low + RUN : n;
    for (int64_t i = low + 1; i < high; i++) {
      item v = a[i];
      int64_t j = i;
      for (; j > low && a[j - 1] > v; j--) a[j] = a[j - 1];
      a[j] = v;
    }
  }
  for (int64_t run = RUN; run < n; run *= 2) {
    for (int64_t low = 0; low < n; low += 2 * run) {
      int64_t i = low, middle = low + run < n ? low + run : n, j = middle;
      int64_t end = middle + run < n ? middle + run : n, to = low;
      while (i < middle && j < end) {
        item left = a[i], other = a[j];
        bool right = other < left;
        b[to++] = right ? other : left;
        j += right;
        i += !right;
      }
      memcpy(b + to, a + i, (size_t) (middle - i) * sizeof *a);
      memcpy(b + to + (middle - i), a + j, (size_t) (end - j) * sizeof *a);
    }
    item *other = a;
    a = b;
    b = other;
  }
  return a;
}

/* By the digits of the key from the lowest, between a and b; returns where the result is. */
static item *digit_sort (item *a, item *b, int64_t n) {
  for (int shift = PLACE; shift < PLACE + 8 * (int) sizeof(word); shift += DIGIT) {
    const item mask = ((item) 1 << DIGIT) - 1;
    int64_t start[(1 << DIGIT) + 1] = {0};
    for (int64_t i = 0; i < n; i++) start[(size_t) (a[i] >> shift & mask) + 1]++;
    for (int d = 0; d < 1 << DIGIT; d++) start[d + 1] += start[d];
    for (int64_t i = 0; i < n; i++) b[start[(size_t) (a[i] >> shift & mask)]++] = a[i];
    item *other = a;
    a = b;
    b = other;
  }
  return a;
}

/* The k first of a row, kept in order while it is read. */
static void keep_few (const peri_real *x, int64_t n, int64_t step, int64_t k, bool descending,
                      item *best) {
  int64_t have = 0;
  for (int64_t i = 0; i < n; i++) {
    item v = item_of(x[i * step], descending, i);
    if (have == k && v >= best[k - 1]) continue;
    int64_t j = have < k ? have++ : k - 1;
    for (; j > 0 && best[j - 1] > v; j--) best[j] = best[j - 1];
    best[j] = v;
  }
}

static void sort_chunk (void *arg, int64_t chunk) {
  const sort_job *s = arg;
  item *a = s->scratch + chunk * 2 * s->n;
  int64_t end = (chunk + 1) * s->per < s->rows ? (chunk + 1) * s->per : s->rows;
  for (int64_t row = chunk * s->per; row < end; row++) {
    const peri_real *x = s->x + row / s->inner * s->n * s->inner + row % s->inner;
    int64_t to = row / s->inner * s->k * s->inner + row % s->inner;
    item *sorted = a;
    if (s->few) {
      keep_few(x, s->n, s->inner, s->k, s->descending, a);
    } else {
      for (int64_t i = 0; i < s->n; i++)
        a[i] = item_of(x[i * s->inner], s->descending, i);
      sorted = s->n < LONG ? merge_sort(a, a + s->n, s->n) : digit_sort(a, a + s->n, s->n);
    }
    for (int64_t i = 0; i < s->k; i++, to += s->inner) {
      int32_t place = (int32_t) sorted[i];
      if (s->y) s->y[to] = x[(place - 1) * s->inner];
      if (s->place) s->place[to] = place;
    }
  }
}

bool peri__sort (const peri_real *x, int64_t outer, int64_t n, int64_t inner, bool descending,
                 int64_t k, peri_real *y, int32_t *place) {
  sort_job s = {.x = x, .rows = outer * inner, .n = n, .inner = inner, .k = k, .y = y, .place = place,
                .descending = descending, .few = k <= FEW && k <= n / 4};
  if (s.rows == 0 || k == 0) return true;
  s.per = 1 + CHUNK / n;
  if (s.per < (s.rows + CHUNKS - 1) / CHUNKS) s.per = (s.rows + CHUNKS - 1) / CHUNKS;
  int64_t chunks = (s.rows + s.per - 1) / s.per;
  size_t bytes = (size_t) (chunks * 2 * n) * sizeof(item);
  s.scratch = peri__alloc(bytes);
  if (!s.scratch) return false;
  peri__parallel(chunks, sort_chunk, &s);
  peri__free(s.scratch, bytes);
  return true;
}
