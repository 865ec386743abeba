/* Runs an elementwise loop over broadcast, strided inputs.  Inputs that are not laid out like the
   output go through a block that stays in the first-level cache. */

#include "kernel/map.h"

#include "parallel.h"
#include "shape.h"

enum { BLOCK = 512, CHUNK = 16384, MAXINPUT = 3 };

typedef struct {
  const peri_call *c;
  peri__loop *loop;
  peri_tensor *out;
  bool direct[MAXINPUT];                 /* packed and of the output's shape */
  peri_layout layout[MAXINPUT];
  int64_t chunk;
} map_job;

/* One block; buf holds what is not laid out like the output, numbers already in place. */
static void run_block (const map_job *j, int64_t at, int64_t n, peri_real (*buf)[BLOCK]) {
  const peri_real *in[MAXINPUT];
  for (int i = 0; i < j->c->nin; i++) {
    const peri_tensor *x = j->c->in[i];
    in[i] = j->direct[i] ? (const peri_real *) x->data + at : buf[i];
    if (!j->direct[i] && x->count != 1) peri__pack(x, &j->layout[i], at, n, buf[i]);
  }
  if (j->out->dtype == PERI_REAL) {
    j->loop(n, in, j->c->a.f, (peri_real *) j->out->data + at);
  } else {
    uint8_t *to = (uint8_t *) j->out->data + at;
    j->loop(n, in, j->c->a.f, buf[MAXINPUT]);
    for (int64_t i = 0; i < n; i++) to[i] = (uint8_t) buf[MAXINPUT][i];
  }
}

static void run_chunk (void *arg, int64_t chunk) {
  const map_job *j = arg;
  peri_real buf[MAXINPUT + 1][BLOCK];
  int64_t at = chunk * j->chunk, end = at + j->chunk;
  bool direct = j->out->dtype == PERI_REAL;
  if (end > j->out->count) end = j->out->count;
  for (int i = 0; i < j->c->nin; i++) {
    direct &= j->direct[i];
    if (!j->direct[i] && j->c->in[i]->count == 1)
      peri__pack(j->c->in[i], &j->layout[i], at, end - at < BLOCK ? end - at : BLOCK, buf[i]);
  }
  int64_t step = direct ? end - at : BLOCK;
  for (; at < end; at += step) run_block(j, at, end - at < step ? end - at : step, buf);
}

peri_tensor *peri__map (const peri_call *c, peri__loop *loop, peri_dtype type) {
  map_job j = {.c = c, .loop = loop, .chunk = CHUNK};
  peri_dims shape;
  if (!peri__broadcast(peri_ops[c->op].name, c->nin, c->in, &shape)) return NULL;
  j.out = peri_empty(type, shape);
  if (!j.out) return NULL;
  for (int i = 0; i < c->nin; i++) {
    const peri_tensor *x = c->in[i];
    j.direct[i] = x->dtype == PERI_REAL && peri__has_shape(x, shape) && peri_is_contiguous(x);
    if (!j.direct[i]) j.layout[i] = peri__layout(x, shape);
  }
  peri__parallel((j.out->count + CHUNK - 1) / CHUNK, run_chunk, &j);
  return j.out;
}
