/* The table of operations, and the one way an operation is called: check, compute, record. */

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "node.h"
#include "shape.h"

enum { X = PERI_READS_X, Y = PERI_READS_Y, Z = PERI_READS_Z, U = PERI_READS_U, V = PERI_READS_V,
       W = PERI_READS_W, OUT = PERI_READS_OUT, NODIFF = PERI_NODIFF, VIEW = PERI_VIEW };

const peri_op_info peri_ops[PERI_NOPS] = {
#define PERI_ROW_(name, params, args, sig, domain, flags, doc) {#name, sig, doc, domain, flags},
#include "perigee/ops.def"
#undef PERI_ROW_
};

const peri_op_code peri__code[PERI_NOPS] = {
#define PERI_ROW_(name, params, args, sig, domain, flags, doc) \
  {peri__##name##_forward, (flags) & NODIFF ? NULL : peri__##name##_vjp},
#include "perigee/ops.def"
#undef PERI_ROW_
};

#define PASS(...) __VA_ARGS__
#define PERI_ROW_(name, params, args, sig, domain, flags, doc) \
  peri_tensor *peri_##name params { \
    return peri_apply(&(peri_call) {.op = PERI_OP_##name, PASS args}); \
  }
#include "perigee/ops.def"
#undef PERI_ROW_

/* What each row's inputs must be, read off its signature once: 't', 'i', 'u' or 'l' for each. */
static char wants[PERI_NOPS][PERI_MAXINPUT + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_signatures (void) {
  for (int op = 0; op < PERI_NOPS; op++) {
    int n = 0;
    for (const char *p = strchr(peri_ops[op].signature, ':'); p; p = strchr(p + 1, ':'))
      if (strchr("tiul", p[1]) && n < PERI_MAXINPUT) wants[op][n++] = p[1];
  }
}

/* The name of input i in the signature, into buf. */
static const char *input_name (const peri_op_info *op, int i, char *buf, size_t size) {
  const char *p = op->signature;
  for (; i > 0 && strchr(p, ' '); i--) p = strchr(p, ' ') + 1;
  size_t n = strcspn(p, ":");
  if (n >= size) n = size - 1;
  memcpy(buf, p, n);
  buf[n] = 0;
  return buf;
}

static bool check_types (const peri_call *c) {
  const peri_op_info *op = &peri_ops[c->op];
  const char *want = wants[c->op];
  if (want[0] == 'l' && c->nin < 1)
    return peri_fail(PERI_E_ARGUMENT, "%s: the list is empty; give at least one tensor", op->name), false;
  for (int i = 0; i < c->nin; i++) {
    char w = want[0] == 'l' ? 'l' : want[i], name[16];
    peri_dtype type = c->in[i]->dtype, first = c->in[0]->dtype;
    if (w == 'u' || type == (w == 'l' ? first : w == 'i' ? PERI_INDEX : PERI_REAL)) continue;
    if (w == 'l')
      peri_fail(PERI_E_TYPE, "%s: tensor %d of the list is %s and the first %s; convert one with "
                "x:%s()", op->name, i + 1, peri_dtype_name(type), peri_dtype_name(first),
                peri_dtype_name(first));
    else
      peri_fail(PERI_E_TYPE, "%s: %s is %s, not %s; convert it with %s:%s()", op->name,
                input_name(op, i, name, sizeof name), peri_dtype_name(type),
                w == 'i' ? "index" : "real", name, w == 'i' ? "index" : "real");
    return false;
  }
  return true;
}

/* --- where the time goes --- */

static _Thread_local bool profiling;
static _Thread_local double inner;         /* seconds in calls made by the one that runs */
static _Thread_local peri_op_time times[PERI_NOPS];

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

void peri_profile (bool on) {
  if (on && !profiling) memset(times, 0, sizeof times);
  profiling = on;
}

peri_op_time peri_profile_of (peri_opcode op) {
  return times[op];
}

static peri_tensor *timed (const peri_call *c) {
  double outer = inner, start = now();
  inner = 0;
  peri_tensor *y = peri__code[c->op].forward(c);
  double took = now() - start;
  times[c->op].calls++;
  times[c->op].seconds += took - inner;
  inner = outer + took;
  return y;
}

peri_tensor *peri_apply (const peri_call *c) {
  for (int i = 0; i < c->nin; i++)
    if (!c->in[i]) return NULL;
  pthread_once(&once, read_signatures);
  if (!check_types(c)) return NULL;
  peri_tensor *y = profiling ? timed(c) : peri__code[c->op].forward(c);
  int flags = peri_ops[c->op].flags;
  if (y && !(flags & PERI_NODIFF) && !peri__record(c, flags, y)) return NULL;
  return y;
}
