/* A pool of threads that share the chunks of one job at a time.  Created at first need; the caller
   works too.  Every thread starts on its own part of the chunks, so that from one operation to the
   next a part stays in the cache of the core that wrote it, then helps with the others'.  A worker
   spins a little before it sleeps, since steps follow each other closely. */

#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "perigee/tensor.h"

enum { MAXTHREADS = 256, SPINS = 4000 };

/* The chunks of one thread: those from `next` to `end` nobody took. */
typedef struct {
  _Alignas(64) atomic_llong next;
  long long end;
} share;

static struct {
  pthread_mutex_t lock;         /* for the sleep of the workers */
  pthread_cond_t wake;
  int wanted, started;          /* threads asked for, workers running */
  void (*f) (void *, int64_t);
  void *arg;
  int seats;                    /* threads that share the job */
  atomic_llong left;            /* chunks not finished */
  atomic_uint job;              /* number of the job; odd while the next one is written down */
  atomic_int inside;            /* workers that may still look at the job */
  atomic_int asleep;
  share part[MAXTHREADS];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static pthread_mutex_t one_job = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool working;     /* a chunk that asks for threads runs them itself */

static void take_chunks (int seat) {
  long long done = 0;
  for (int i = 0; i < pool.seats; i++) {
    share *s = &pool.part[(seat + i) % pool.seats];
    if (atomic_load_explicit(&s->next, memory_order_relaxed) >= s->end) continue;
    for (;;) {
      long long chunk = atomic_fetch_add(&s->next, 1);
      if (chunk >= s->end) break;
      pool.f(pool.arg, chunk);
      done++;
    }
  }
  if (done) atomic_fetch_sub(&pool.left, done);
}

static void wait_for_job (unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&pool.job) != seen) return;
    __builtin_ia32_pause();
  }
  pthread_mutex_lock(&pool.lock);
  atomic_fetch_add(&pool.asleep, 1);
  while (atomic_load(&pool.job) == seen) pthread_cond_wait(&pool.wake, &pool.lock);
  atomic_fetch_sub(&pool.asleep, 1);
  pthread_mutex_unlock(&pool.lock);
}

static void *work (void *number) {
  int seat = (int) (intptr_t) number;
  unsigned seen = 0;
  working = true;
  for (;;) {
    wait_for_job(seen);
    seen = atomic_load(&pool.job);
    if (seen & 1) continue;
    atomic_fetch_add(&pool.inside, 1);
    /* From here on the job stays as it is, if it is still the one that was seen. */
    if (atomic_load(&pool.job) == seen && seat < pool.seats) take_chunks(seat);
    atomic_fetch_sub(&pool.inside, 1);
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
  atomic_store(&pool.asleep, 0);
}

int peri_threads (void) {
  if (pool.wanted == 0) pool.wanted = default_threads();
  return pool.wanted;
}

void peri_set_threads (int n) {
  pthread_mutex_lock(&one_job);
  pool.wanted = n < 1 ? 1 : n < MAXTHREADS ? n : MAXTHREADS;
  pthread_mutex_unlock(&one_job);
}

static void start_workers (void) {
  if (pool.started == 0) pthread_atfork(NULL, NULL, forget_workers);
  while (pool.started < pool.wanted - 1) {
    pthread_t t;
    if (pthread_create(&t, NULL, work, (void *) (intptr_t) (pool.started + 1))) break;
    pthread_detach(t);
    pool.started++;
  }
}

static void publish (int64_t chunks, void (*f) (void *, int64_t), void *arg) {
  atomic_fetch_add(&pool.job, 1);
  while (atomic_load(&pool.inside) > 0) __builtin_ia32_pause();    /* a late one from the last job */
  pool.f = f;
  pool.arg = arg;
  pool.seats = pool.wanted;
  for (int i = 0; i < pool.seats; i++) {
    atomic_store(&pool.part[i].next, chunks * i / pool.seats);
    pool.part[i].end = chunks * (i + 1) / pool.seats;
  }
  atomic_store(&pool.left, chunks);
  atomic_fetch_add(&pool.job, 1);
  if (atomic_load(&pool.asleep) == 0) return;
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
}

void peri__parallel (int64_t chunks, void (*f) (void *arg, int64_t chunk), void *arg) {
  if (chunks <= 1 || working || peri_threads() == 1) {
    for (int64_t i = 0; i < chunks; i++) f(arg, i);
    return;
  }
  pthread_mutex_lock(&one_job);
  start_workers();
  publish(chunks, f, arg);
  working = true;
  take_chunks(0);
  working = false;
  while (atomic_load(&pool.left) > 0) __builtin_ia32_pause();
  pthread_mutex_unlock(&one_job);
}
