/* Random streams.  Block i of a draw is Philox(counter = position + i and the time; key), so chunks
   of a draw are independent and a draw is the same for any number of threads. */

#include "perigee/random.h"

#include <string.h>

#include "kernel/map.h"
#include "parallel.h"
#include "philox.h"
#include "shape.h"

enum { BLOCKS = 128, WORDS = 4 * BLOCKS, CHUNK = 32 * WORDS };

/* A counter's words stand in the low halves of 64-bit lanes, where one instruction multiplies them
   in full; what gathers in the high halves is never read.  Compilers do not find this by
   themselves. */
typedef uint64_t lanes_v2 __attribute__((vector_size(16)));
typedef uint64_t lanes_v3 __attribute__((vector_size(32)));
typedef uint64_t lanes_v4 __attribute__((vector_size(64)));
typedef uint32_t words_v2 __attribute__((vector_size(8)));
typedef uint32_t words_v3 __attribute__((vector_size(16)));
typedef uint32_t words_v4 __attribute__((vector_size(32)));

/* Blocks from, from + 1, ..: word w of block i at out[w][i].  from is a multiple of BLOCKS, so that
   only the low word of the counter differs. */
#define PHILOX(L, I, multiply) \
  PERI__TARGET_##L static void philox_##L (uint64_t key, uint64_t time, uint64_t from, \
                                           uint32_t (*out)[BLOCKS]) { \
    enum { W = sizeof(lanes_##L) / 8 }; \
    const lanes_##L zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u; \
    lanes_##L step = zero; \
    for (uint64_t i = 0; i < W; i++) step[i] = i; \
    for (uint64_t base = 0; base < BLOCKS; base += W) { \
      lanes_##L c0 = step + (from + base), c1 = zero + (from >> 32); \
      lanes_##L c2 = zero + time, c3 = zero + (time >> 32); \
      uint32_t k0 = (uint32_t) key, k1 = (uint32_t) (key >> 32); \
      for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) { \
        lanes_##L p = (lanes_##L) multiply((I) c0, (I) m0), q = (lanes_##L) multiply((I) c2, (I) m1); \
        c0 = (q >> 32) ^ c1 ^ (zero + k0); \
        c2 = (p >> 32) ^ c3 ^ (zero + k1); \
        c1 = q; \
        c3 = p; \
      } \
      words_##L w[] = {__builtin_convertvector(c0, words_##L), __builtin_convertvector(c1, words_##L), \
                       __builtin_convertvector(c2, words_##L), __builtin_convertvector(c3, words_##L)}; \
      for (int i = 0; i < 4; i++) memcpy(&out[i][base], &w[i], sizeof w[i]); \
    } \
  }
PHILOX(v2, __m128i, _mm_mul_epu32)
PHILOX(v3, __m256i, _mm256_mul_epu32)
PHILOX(v4, __m512i, _mm512_mul_epu32)

static void philox (uint64_t key, uint64_t time, uint64_t from, uint32_t (*out)[BLOCKS]) {
  static void (*const level[3]) (uint64_t, uint64_t, uint64_t, uint32_t (*) [BLOCKS]) = {
    philox_v2, philox_v3, philox_v4};
  level[peri__cpu_level()](key, time, from, out);
}

/* One block; the reference that the vectors are tested against. */
void peri__philox (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint64_t p = (uint64_t) 0xD2511F53u * c0, q = (uint64_t) 0xCD9E8D57u * c2;
    c0 = (uint32_t) (q >> 32) ^ c1 ^ k0;
    c2 = (uint32_t) (p >> 32) ^ c3 ^ k1;
    c1 = (uint32_t) q;
    c3 = (uint32_t) p;
  }
  memcpy(out, (uint32_t[]) {c0, c1, c2, c3}, 4 * sizeof out[0]);
}

/* --- streams --- */

peri_rng peri_rng_seed (uint64_t seed, const uint64_t *clock) {
  return (peri_rng) {.key = seed, .clock = clock};
}

/* The parent's key enciphers the name's FNV-1a hash, so names under different parents differ. */
peri_rng peri_rng_fork (const peri_rng *r, const char *name) {
  uint64_t h = 0xCBF29CE484222325u;
  for (const char *p = name; *p; p++) h = (h ^ (uint8_t) *p) * 0x100000001B3u;
  uint32_t counter[4] = {(uint32_t) h, (uint32_t) (h >> 32), 0x6B726F66u, 0xFFFFFFFFu}, out[4];
  uint32_t key[2] = {(uint32_t) r->key, (uint32_t) (r->key >> 32)};
  peri__philox(counter, key, out);
  return (peri_rng) {.key = (uint64_t) out[1] << 32 | out[0], .clock = r->clock,
                     .time = r->clock ? 0 : r->time};
}

peri_rng peri_rng_at (const peri_rng *r, uint64_t time) {
  return (peri_rng) {.key = r->key, .time = time};
}

/* The position of the next `blocks` blocks; more than one begin at a multiple of BLOCKS. */
static uint64_t take (peri_rng *r, uint64_t blocks) {
  if (r->clock && *r->clock != r->time) {
    r->time = *r->clock;
    r->position = 0;
  }
  if (blocks > 1) r->position = (r->position + BLOCKS - 1) / BLOCKS * BLOCKS;
  uint64_t from = r->position;
  r->position += blocks;
  return from;
}

uint64_t peri_rng_next (peri_rng *r) {
  uint64_t at = take(r, 1);
  uint32_t counter[4] = {(uint32_t) at, (uint32_t) (at >> 32), (uint32_t) r->time,
                         (uint32_t) (r->time >> 32)}, out[4];
  uint32_t key[2] = {(uint32_t) r->key, (uint32_t) (r->key >> 32)};
  peri__philox(counter, key, out);
  return (uint64_t) out[1] << 32 | out[0];
}

/* --- filling tensors --- */

typedef struct {
  uint64_t key, time, from;
  peri_tensor *y;
  void (*fill) (uint32_t (*words)[BLOCKS], peri_real *out);
} draw_job;

/* In [0, 1): 24 bits of a word; in double 53, the low ones from a second word. */
static inline peri_real unit (uint32_t high, uint32_t low) {
#ifdef PERI_DOUBLE
  return (peri_real) (((uint64_t) high << 32 | low) >> 11) * 0x1p-53;
#else
  (void) low;
  return (peri_real) (int32_t) (high >> 8) * 0x1p-24f;
#endif
}

/* Four numbers a block, all first words of a group before all second ones. */
PERI__BODY fill_uniform_body (uint32_t (*words)[BLOCKS], peri_real *out) {
  for (int w = 0; w < 4; w++)
    for (int i = 0; i < BLOCKS; i++)
      out[w * BLOCKS + i] = unit(words[w][i], words[w ^ 1][i] * 0x9E3779B1u);
}
PERI__DISPATCH(fill_uniform, (uint32_t (*words)[BLOCKS], peri_real *out), (words, out))

/* x = -log u: Box & Muller 1958 with u in (0, 1], so no logarithm of 0. */
#define RADIUS vsqrt(K(-2) * vlog(1 - x))
#define ANGLE (K(6.28318530717958647693) * y)
PERI__LOOP(v2, cosine, 2, RADIUS * vcos(ANGLE))
PERI__LOOP(v3, cosine, 2, RADIUS * vcos(ANGLE))
PERI__LOOP(v4, cosine, 2, RADIUS * vcos(ANGLE))
PERI__LOOP(v2, sine, 2, RADIUS * vsin(ANGLE))
PERI__LOOP(v3, sine, 2, RADIUS * vsin(ANGLE))
PERI__LOOP(v4, sine, 2, RADIUS * vsin(ANGLE))

static void fill_normal (uint32_t (*words)[BLOCKS], peri_real *out) {
  static peri__loop *const cosines[] = {cosine_v2, cosine_v3, cosine_v4};
  static peri__loop *const sines[] = {sine_v2, sine_v3, sine_v4};
  const double none[2] = {0};
  peri_real u[2 * BLOCKS], v[2 * BLOCKS];
  const peri_real *in[] = {u, v};
  for (int w = 0; w < 2; w++)
    for (int i = 0; i < BLOCKS; i++) {
      u[i + w * BLOCKS] = unit(words[2 * w][i], words[2 * w + 1][i] * 0x9E3779B1u);
      v[i + w * BLOCKS] = unit(words[2 * w + 1][i], words[2 * w][i] * 0x85EBCA77u);
    }
  cosines[peri__cpu_level()](2 * BLOCKS, in, none, out);
  sines[peri__cpu_level()](2 * BLOCKS, in, none, out + 2 * BLOCKS);
}

/* In (0, 1), exactly symmetric, so that both logarithms below are finite. */
static inline peri_real open_unit (uint32_t high, uint32_t low) {
#ifdef PERI_DOUBLE
  return ((peri_real) (((uint64_t) high << 32 | low) >> 12) + 0.5) * 0x1p-52;
#else
  (void) low;
  return ((peri_real) (int32_t) (high >> 9) + 0.5f) * 0x1p-23f;
#endif
}

static void fill_open (uint32_t (*words)[BLOCKS], peri__loop *loop, peri_real *out) {
  const double none[2] = {0};
  peri_real u[WORDS];
  const peri_real *in[] = {u};
  for (int w = 0; w < 4; w++)
    for (int i = 0; i < BLOCKS; i++)
      u[w * BLOCKS + i] = open_unit(words[w][i], words[w ^ 1][i] * 0x9E3779B1u);
  loop(WORDS, in, none, out);
}

PERI__LOOP(v2, exponential, 1, -vlog(x))
PERI__LOOP(v3, exponential, 1, -vlog(x))
PERI__LOOP(v4, exponential, 1, -vlog(x))
PERI__LOOP(v2, gumbel, 1, -vlog(-vlog(x)))
PERI__LOOP(v3, gumbel, 1, -vlog(-vlog(x)))
PERI__LOOP(v4, gumbel, 1, -vlog(-vlog(x)))

static void fill_exponential (uint32_t (*words)[BLOCKS], peri_real *out) {
  static peri__loop *const level[] = {exponential_v2, exponential_v3, exponential_v4};
  fill_open(words, level[peri__cpu_level()], out);
}

static void fill_gumbel (uint32_t (*words)[BLOCKS], peri_real *out) {
  static peri__loop *const level[] = {gumbel_v2, gumbel_v3, gumbel_v4};
  fill_open(words, level[peri__cpu_level()], out);
}

static void draw_chunk (void *arg, int64_t chunk) {
  const draw_job *j = arg;
  uint32_t words[4][BLOCKS];
  peri_real buf[WORDS];
  int64_t end = (chunk + 1) * CHUNK < j->y->count ? (chunk + 1) * CHUNK : j->y->count;
  for (int64_t at = chunk * CHUNK; at < end; at += WORDS) {
    int64_t n = end - at < WORDS ? end - at : WORDS;
    philox(j->key, j->time, j->from + (uint64_t) at / 4, words);
    j->fill(words, buf);
    memcpy((peri_real *) j->y->data + at, buf, (size_t) n * sizeof *buf);
  }
}

/* A draw takes whole groups of BLOCKS blocks, the unit its numbers are made in. */
static peri_tensor *draw (peri_rng *r, peri_dims shape,
                          void (*fill) (uint32_t (*) [BLOCKS], peri_real *)) {
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y) return NULL;
  uint64_t blocks = (uint64_t) ((y->count + WORDS - 1) / WORDS) * BLOCKS, from = take(r, blocks);
  draw_job j = {r->key, r->time, from, y, fill};
  peri__parallel((y->count + CHUNK - 1) / CHUNK, draw_chunk, &j);
  return y;
}

peri_tensor *peri_rng_uniform (peri_rng *r, peri_dims shape) {
  return draw(r, shape, fill_uniform);
}

peri_tensor *peri_rng_normal (peri_rng *r, peri_dims shape) {
  return draw(r, shape, fill_normal);
}

peri_tensor *peri_rng_exponential (peri_rng *r, peri_dims shape) {
  return draw(r, shape, fill_exponential);
}

peri_tensor *peri_rng_gumbel (peri_rng *r, peri_dims shape) {
  return draw(r, shape, fill_gumbel);
}

peri_tensor *peri_rng_bernoulli (peri_rng *r, peri_tensor *p) {
  if (!p) return NULL;
  return peri_cast(peri_lt(peri_rng_uniform(r, peri_shape_of(p)), p), PERI_REAL);
}

/* Lemire 2019, without the rejection: the bias is below 2^-32 of the range. */
static int64_t below (uint64_t word, uint64_t range) {
  return (int64_t) (((unsigned __int128) word * range) >> 64);
}

peri_tensor *peri_rng_integers (peri_rng *r, peri_dims shape, int64_t low, int64_t high) {
  if (low > high || low < INT32_MIN || high > INT32_MAX)
    return peri_null(PERI_E_ARGUMENT, "integers: %lld..%lld is empty or does not fit in 32 bits",
                     (long long) low, (long long) high);
  peri_tensor *y = peri_empty(PERI_INDEX, shape);
  for (int64_t i = 0; y && i < y->count; i++)
    ((int32_t *) y->data)[i] = (int32_t) (low + below(peri_rng_next(r), (uint64_t) (high - low) + 1));
  return y;
}

/* Fisher-Yates. */
peri_tensor *peri_rng_permutation (peri_rng *r, int64_t n) {
  if (n < 0 || n > INT32_MAX)
    return peri_null(PERI_E_ARGUMENT, "permutation: n is %lld, want 0..2^31 - 1", (long long) n);
  peri_tensor *y = peri_empty(PERI_INDEX, peri_shape(1, n));
  int32_t *p = y ? y->data : NULL;
  for (int64_t i = 0; y && i < n; i++) {
    int64_t k = below(peri_rng_next(r), (uint64_t) i + 1);
    p[i] = p[k];
    p[k] = (int32_t) i + 1;
  }
  return y;
}
