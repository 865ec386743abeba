/* LAPACK from OpenBLAS, and the loop over a batch of matrices.  The stress test of
   tests/c/test_decompose.c shows that concurrent calls are safe with OpenBLAS's threaded build; its
   serial build is called under a lock, by one thread. */

#include "lapack.h"

#include <pthread.h>

#include "blas.h"
#include "memory.h"
#include "parallel.h"

/* Small matrices are taken by runs; there is one scratch for each run. */
enum { MAXRUNS = 64 };

#ifdef PERI_DOUBLE
#define NAMED(routine) "d" #routine "_"
#define TRSM "cblas_dtrsm"
#else
#define NAMED(routine) "s" #routine "_"
#define TRSM "cblas_strsm"
#endif

static peri__lapack_calls calls;
static bool complete;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load (void) {
  const struct { void *at; const char *symbol; } wanted[] = {
    {&calls.potrf, NAMED(potrf)}, {&calls.getrf, NAMED(getrf)}, {&calls.getrs, NAMED(getrs)},
    {&calls.getri, NAMED(getri)}, {&calls.geqrf, NAMED(geqrf)}, {&calls.orgqr, NAMED(orgqr)},
    {&calls.syevd, NAMED(syevd)}, {&calls.gesdd, NAMED(gesdd)}, {&calls.trsm, TRSM}};
  complete = true;
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    void *found = peri__blas_find(wanted[i].symbol);
    *(void **) wanted[i].at = found;
    complete &= found != NULL;
  }
}

const peri__lapack_calls *peri__lapack (const char *op) {
  pthread_once(&once, load);
  if (complete) return &calls;
  return peri_null(PERI_E_SYSTEM, "%s: OpenBLAS with LAPACK is missing; install it with apt-get "
                   "install libopenblas0-pthread", op);
}

typedef struct {
  int64_t count, each, work;
  int (*f) (const void *arg, int64_t matrix, peri_real *scratch);
  const void *arg;
  peri_real *scratch;
  struct { int64_t matrix; int wrong; } first[MAXRUNS];   /* that failed, in each run */
} batch_job;

static void take_run (void *arg, int64_t run) {
  batch_job *j = arg;
  int64_t from = run * j->each, to = from + j->each < j->count ? from + j->each : j->count;
  j->first[run].wrong = 0;
  for (int64_t i = from; i < to && !j->first[run].wrong; i++) {
    j->first[run].matrix = i;
    j->first[run].wrong = j->f(j->arg, i, j->scratch + run * j->work);
  }
}

int64_t peri__each_matrix (int64_t count, int64_t work,
                           int (*f) (const void *arg, int64_t matrix, peri_real *scratch),
                           const void *arg, int *wrong) {
  if (count == 0) return 0;
  batch_job j = {.count = count, .each = (count + MAXRUNS - 1) / MAXRUNS, .f = f, .arg = arg,
                 .work = (work + 15) / 16 * 16};             /* runs share no cache line */
  int64_t runs = (count + j.each - 1) / j.each;
  size_t bytes = (size_t) (runs * j.work) * sizeof(peri_real);
  j.scratch = peri__alloc(bytes);
  if (!j.scratch) return -1;
  if (peri__blas_lock())
    for (int64_t run = 0; run < runs; run++) take_run(&j, run);
  else
    peri__parallel(runs, take_run, &j);
  peri__blas_unlock();
  peri__free(j.scratch, bytes);
  for (int64_t run = 0; run < runs; run++)
    if (j.first[run].wrong) {
      *wrong = j.first[run].wrong;
      return j.first[run].matrix;
    }
  return count;
}
