/* What this machine can do at most, for single operations to be compared with: float32 operations a
   second out of registers, and bytes a second between memory and registers.
     bench_limits THREADS MIB     says "ready", then answers lines "NAME N": the best of N passes of
                                  a probe, in FLOP/s or B/s; an unknown probe ends it
   Probes: peak (FMA), read (the sum of three arrays), copy (y = x), triad (z = x + s y), update
   (x = x / 2 + y: two read, one of them written), and copy_stream and triad_stream, which store
   past the caches and so need not read the line they overwrite.  Arrays are of MIB each; bytes are
   those a program asks for, not what caches add. */

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel/dispatch.h"

enum { MAXTHREADS = 256, CHAINS = 12, ROUNDS = 2000000, HUGE_PAGE = 2 << 20 };

/* A thread's part of the arrays, n a multiple of 256. */
typedef struct part {
  float *x, *y, *z;
  size_t n;
  float out;          /* keeps the compiler from dropping what nobody reads */
} part;

/* FMA chains enough to fill two units of latency 4 (12 > 8), in 14 of 16 registers; for v2 the
   product and the sum are two instructions.  Tends to 1: neither overflows nor turns subnormal. */
#define PEAK(level, vec, set, fma, extract) \
  PERI__TARGET_##level static void peak_##level (part *p) { \
    vec a[CHAINS], m = set(p->x[0] * 0 + 0.5f), c = set(p->x[1] * 0 + 0.5f); \
    for (int k = 0; k < CHAINS; k++) a[k] = set((float) k); \
    for (int i = 0; i < ROUNDS; i++) { \
      _Pragma("GCC unroll 12") \
      for (int k = 0; k < CHAINS; k++) a[k] = fma(a[k], m, c); \
      __asm__ volatile ("" : "+x"(m)); \
    } \
    for (int k = 0; k < CHAINS; k++) p->out += extract(a[k]); \
  }

/* Sums in several registers, so that the latency of an addition does not count. */
#define READ(level, vec, set, add, load, extract, w) \
  PERI__TARGET_##level static void read_##level (part *p) { \
    vec a[8]; \
    const float *const arrays[] = {p->x, p->y, p->z}; \
    for (int k = 0; k < 8; k++) a[k] = set(0); \
    for (int j = 0; j < 3; j++) { \
      const float *x = arrays[j]; \
      for (size_t i = 0; i < p->n; i += 8 * w) \
        _Pragma("GCC unroll 8") \
        for (size_t k = 0; k < 8; k++) a[k] = add(a[k], load(x + i + k * w)); \
    } \
    for (int k = 0; k < 8; k++) p->out += extract(a[k]); \
  }

#define WRITE(level, vec, set, fma, load, store, w, suffix) \
  PERI__TARGET_##level static void copy##suffix##_##level (part *p) { \
    for (size_t i = 0; i < p->n; i += w) store(p->y + i, load(p->x + i)); \
    _mm_sfence(); \
  } \
  PERI__TARGET_##level static void triad##suffix##_##level (part *p) { \
    vec s = set(3); \
    for (size_t i = 0; i < p->n; i += w) \
      store(p->z + i, fma(s, load(p->y + i), load(p->x + i))); \
    _mm_sfence(); \
  }

#define UPDATE(level, vec, set, fma, load, store, w) \
  PERI__TARGET_##level static void update_##level (part *p) { \
    vec s = set(0.5f); \
    for (size_t i = 0; i < p->n; i += w) \
      store(p->x + i, fma(s, load(p->x + i), load(p->y + i))); \
  }

#define mul_add_128(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)

PEAK(v2, __m128, _mm_set1_ps, mul_add_128, _mm_cvtss_f32)
PEAK(v3, __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32)
PEAK(v4, __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32)
READ(v2, __m128, _mm_set1_ps, _mm_add_ps, _mm_load_ps, _mm_cvtss_f32, 4)
READ(v3, __m256, _mm256_set1_ps, _mm256_add_ps, _mm256_load_ps, _mm256_cvtss_f32, 8)
READ(v4, __m512, _mm512_set1_ps, _mm512_add_ps, _mm512_load_ps, _mm512_cvtss_f32, 16)
WRITE(v2, __m128, _mm_set1_ps, mul_add_128, _mm_load_ps, _mm_store_ps, 4,)
WRITE(v3, __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_store_ps, 8,)
WRITE(v4, __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_store_ps, 16,)
WRITE(v2, __m128, _mm_set1_ps, mul_add_128, _mm_load_ps, _mm_stream_ps, 4, _stream)
WRITE(v3, __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_stream_ps, 8, _stream)
WRITE(v4, __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_stream_ps, 16, _stream)

UPDATE(v2, __m128, _mm_set1_ps, mul_add_128, _mm_load_ps, _mm_store_ps, 4)
UPDATE(v3, __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_store_ps, 8)
UPDATE(v4, __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_store_ps, 16)

typedef struct probe {
  const char *name;
  void (*run[3]) (part *);
  int arrays;                   /* how many arrays it moves; 0: counts operations */
} probe;

static const probe probes[] = {
  {"peak", {peak_v2, peak_v3, peak_v4}, 0},
  {"read", {read_v2, read_v3, read_v4}, 3},
  {"copy", {copy_v2, copy_v3, copy_v4}, 2},
  {"copy_stream", {copy_stream_v2, copy_stream_v3, copy_stream_v4}, 2},
  {"triad", {triad_v2, triad_v3, triad_v4}, 3},
  {"triad_stream", {triad_stream_v2, triad_stream_v3, triad_stream_v4}, 3},
  {"update", {update_v2, update_v3, update_v4}, 3},
};

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* One request: its threads live as long as it does, and meet before and after every pass. */
static struct {
  void (*run) (part *);
  part *parts;
  int threads, passes;
  double best;                  /* seconds */
  atomic_int arrived;
} job;

/* Wait for all threads: the count only grows, so a late one finds its place. */
static void meet (void) {
  int place = atomic_fetch_add(&job.arrived, 1), all = (place / job.threads + 1) * job.threads;
  for (int i = 0; atomic_load(&job.arrived) < all; i++)
    if (i < 10000) __builtin_ia32_pause();
    else sched_yield();
}

static void *work (void *arg) {
  part *p = arg;
  for (int i = 0; i < job.passes; i++) {
    meet();
    double begin = now();
    job.run(p);
    meet();
    double took = now() - begin;
    if (p == job.parts && took < job.best) job.best = took;
  }
  return NULL;
}

static void run (void (*f) (part *), part *parts, int threads, int passes) {
  pthread_t thread[MAXTHREADS];
  job.run = f;
  job.parts = parts;
  job.threads = threads;
  job.passes = passes;
  job.best = 1e30;
  atomic_store(&job.arrived, 0);
  for (int i = 1; i < threads; i++)
    if (pthread_create(&thread[i], NULL, work, &parts[i])) {
      puts("error no thread");
      exit(1);
    }
  work(&parts[0]);
  for (int i = 1; i < threads; i++) pthread_join(thread[i], NULL);
}

/* Pages get their place at the first touch, by the thread that uses them. */
static void touch (part *p) {
  for (size_t i = 0; i < p->n; i++) p->x[i] = p->y[i] = p->z[i] = 1;
}

static float *array (size_t bytes) {
  float *a = aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  if (!a) {
    puts("error not enough memory");
    exit(1);
  }
  madvise(a, bytes, MADV_HUGEPAGE);      /* a wish: without it the limit is what small pages give */
  return a;
}

int main (int argc, char **argv) {
  static part parts[MAXTHREADS];
  int threads = argc == 3 ? atoi(argv[1]) : 0, mib = argc == 3 ? atoi(argv[2]) : 0;
  if (threads < 1 || threads > MAXTHREADS || mib < 1 || mib > 1 << 20) {
    puts("error usage: bench_limits THREADS MIB");
    return 1;
  }
  size_t each = ((size_t) mib << 20) / sizeof(float) / (size_t) threads / 256 * 256;
  size_t bytes = each * (size_t) threads * sizeof(float);
  float *x = array(bytes), *y = array(bytes), *z = array(bytes);
  for (int i = 0; i < threads; i++) {
    size_t at = (size_t) i * each;
    parts[i] = (part){x + at, y + at, z + at, each, 0};
  }
  run(touch, parts, threads, 1);
  puts("ready 0");
  fflush(stdout);

  static const double flops[3] = {4, 8, 16};        /* lanes; an FMA is two operations */
  int level = peri__cpu_level(), passes;
  char name[32];
  while (scanf("%31s %d", name, &passes) == 2) {
    const probe *p = NULL;
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
      if (strcmp(name, probes[i].name) == 0) p = &probes[i];
    if (!p || passes < 1) {
      printf("error unknown request %s %d\n", name, passes);
      return 1;
    }
    run(p->run[level], parts, threads, passes);
    double amount = p->arrays ? (double) p->arrays * (double) bytes
                              : 2 * flops[level] * CHAINS * ROUNDS * threads;
    printf("%.9g\n", amount / job.best);
    fflush(stdout);
  }
  return 0;
}
