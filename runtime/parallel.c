/* A pool of threads that take chunks from a counter.  Created at first need; one job at a time; the
   caller works too.  A worker spins a little before it sleeps, since steps follow each other
   closely. */

#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "perigee/tensor.h"

enum { MAXTHREADS = 256, SPINS = 4000 };

static struct {
  pthread_mutex_t lock;         /* guards what follows, and the sleep of the workers */
  pthread_cond_t wake;
  int wanted, started;          /* threads asked for, workers running */
  void (*f) (void *, int64_t);
  void *arg;
  int64_t chunks;
  atomic_llong next;            /* first chunk nobody took */
  atomic_llong left;            /* chunks not finished */
  atomic_uint job;              /* number of the job */
  atomic_int inside;            /* workers that may still look at f and arg */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static pthread_mutex_t one_job = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool working;     /* a chunk that asks for threads runs them itself */

static void take_chunks (void) {
  long long done = 0;
  for (;;) {
    long long i = atomic_fetch_add(&pool.next, 1);
    if (i >= pool.chunks) break;
    pool.f(pool.arg, i);
    done++;
  }
  if (done) atomic_fetch_sub(&pool.left, done);
}

static void *work (void *seat) {
  int me = (int) (intptr_t) seat;
  unsigned seen = 0;
  working = true;
  for (;;) {
    for (int i = 0; i < SPINS && atomic_load(&pool.job) == seen; i++) __builtin_ia32_pause();
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.job) == seen) pthread_cond_wait(&pool.wake, &pool.lock);
    seen = atomic_load(&pool.job);
    bool join = me < pool.wanted - 1 && atomic_load(&pool.left) > 0;
    if (join) atomic_fetch_add(&pool.inside, 1);
    pthread_mutex_unlock(&pool.lock);
    if (join) {
      take_chunks();
      atomic_fetch_sub(&pool.inside, 1);
    }
  }
  return NULL;
}

static int default_threads (void) {
  const char *names[] = {"PERIGEE_THREADS", "OMP_NUM_THREADS"};
  cpu_set_t set;
  for (int i = 0; i < 2; i++) {
    const char *text = getenv(names[i]);
    int n = text ? atoi(text) : 0;
    if (n > 0) return n < MAXTHREADS ? n : MAXTHREADS;
  }
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* A child of fork has no workers. */
static void forget_workers (void) {
  pool.started = 0;
  atomic_store(&pool.inside, 0);
}

int peri_threads (void) {
  if (pool.wanted == 0) pool.wanted = default_threads();
  return pool.wanted;
}

void peri_set_threads (int n) {
  pthread_mutex_lock(&one_job);
  pthread_mutex_lock(&pool.lock);                      /* a late worker may be reading it */
  pool.wanted = n < 1 ? 1 : n < MAXTHREADS ? n : MAXTHREADS;
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&one_job);
}

static void start_workers (void) {
  if (pool.started == 0) pthread_atfork(NULL, NULL, forget_workers);
  while (pool.started < pool.wanted - 1) {
    pthread_t t;
    if (pthread_create(&t, NULL, work, (void *) (intptr_t) pool.started)) break;
    pthread_detach(t);
    pool.started++;
  }
}

void peri__parallel (int64_t chunks, void (*f) (void *arg, int64_t chunk), void *arg) {
  if (chunks <= 1 || working || peri_threads() == 1) {
    for (int64_t i = 0; i < chunks; i++) f(arg, i);
    return;
  }
  pthread_mutex_lock(&one_job);
  start_workers();
  pthread_mutex_lock(&pool.lock);
  while (atomic_load(&pool.inside) > 0) __builtin_ia32_pause();   /* a late one from the last job */
  pool.f = f;
  pool.arg = arg;
  pool.chunks = chunks;
  atomic_store(&pool.next, 0);
  atomic_store(&pool.left, chunks);
  atomic_fetch_add(&pool.job, 1);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
  working = true;
  take_chunks();
  working = false;
  while (atomic_load(&pool.left) > 0 || atomic_load(&pool.inside) > 0) __builtin_ia32_pause();
  pthread_mutex_unlock(&one_job);
}
