/* Matrix products: by oneDNN in float32, whose kernels are 10 to 60 % faster and pack little, so that
   cutting a product into pieces is nearly free; else by OpenBLAS.  OpenBLAS's releases do not know
   CPUs newer than themselves and then fall back to AVX2 at half the speed or less, so the core type
   is chosen here, from the CPU's features, before it loads.  Its serial build shares one buffer
   between callers and gives wrong products when two threads call at once (100x110x120: 2 in 1000),
   so the build with threads is used, kept to one, or else a lock. */

#include "blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "dnn.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

#ifdef PERI_DOUBLE
#define GEMM "cblas_dgemm"
#else
#define GEMM "cblas_sgemm"
#endif

static void (*gemm) (int order, int ta, int tb, int m, int n, int k, peri_real alpha,
                     const peri_real *a, int lda, const peri_real *b, int ldb, peri_real beta,
                     peri_real *c, int ldc);
static char name[256] = "not loaded";
static void *library;
static bool needs_lock;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* NULL when OpenBLAS's own choice is right. */
static const char *core_type (void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("x86-64-v4")) return NULL;
  return __builtin_cpu_supports("avx512bf16") ? "SAPPHIRERAPIDS" : "SKYLAKEX";
}

static void load (void) {
  const char *core = core_type();
  if (core) setenv("OPENBLAS_CORETYPE", core, 0);
  setenv("OPENBLAS_NUM_THREADS", "1", 1);       /* or it starts threads while it loads */
  library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(name, sizeof name, "missing: %s", dlerror());
    return;
  }
  *(void **) &gemm = dlsym(library, GEMM);
  void (*set_threads) (int);
  int (*parallel) (void);
  const char *(*config) (void), *(*corename) (void);
  *(void **) &set_threads = dlsym(library, "openblas_set_num_threads");
  *(void **) &config = dlsym(library, "openblas_get_config");
  *(void **) &corename = dlsym(library, "openblas_get_corename");
  *(void **) &parallel = dlsym(library, "openblas_get_parallel");
  needs_lock = !parallel || parallel() == 0;
  if (set_threads) set_threads(1);
  snprintf(name, sizeof name, "%s (%s)", config ? config() : "OpenBLAS", corename ? corename() : "?");
}

#ifdef PERI_DOUBLE
static bool find_product (void) { return false; }
static void multiply_fast (const peri__gemm_call *g) { (void) g; }
#else
static int (*sgemm) (char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
static pthread_once_t found = PTHREAD_ONCE_INIT;

static void find_sgemm (void) { *(void **) &sgemm = peri__dnn_find("dnnl_sgemm"); }

/* Does oneDNN serve products? */
static bool find_product (void) {
  pthread_once(&found, find_sgemm);
  return sgemm != NULL;
}

static void multiply_fast (const peri__gemm_call *g) {
  peri__dnn_ready();                              /* of this thread */
  sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, 1, g->a, g->lda, g->b, g->ldb,
        g->beta, g->c, g->ldc);
}
#endif

bool peri__blas_ready (void) {
  if (find_product()) return true;
  pthread_once(&once, load);
  if (!gemm)
    peri_fail(PERI_E_SYSTEM, "matmul: OpenBLAS is %s; install it with apt-get install "
              "libopenblas0-pthread", name);
  return gemm != NULL;
}

const char *peri_blas_name (void) {
  if (find_product()) return peri__dnn_name();
  pthread_once(&once, load);
  return name;
}

void *peri__blas_find (const char *symbol) {
  pthread_once(&once, load);
  return library ? dlsym(library, symbol) : NULL;
}

bool peri__blas_lock (void) {
  if (needs_lock) pthread_mutex_lock(&lock);
  return needs_lock;
}

void peri__blas_unlock (void) {
  if (needs_lock) pthread_mutex_unlock(&lock);
}

void peri__gemm (const peri__gemm_call *g) {
  if (find_product()) {
    multiply_fast(g);
    return;
  }
  peri__blas_lock();
  gemm(ROW_MAJOR, g->ta ? TRANS : NO_TRANS, g->tb ? TRANS : NO_TRANS, (int) g->m, (int) g->n,
       (int) g->k, 1, g->a, (int) g->lda, g->b, (int) g->ldb, g->beta, g->c, (int) g->ldc);
  peri__blas_unlock();
}
