/* Graph nodes: made by a call when it is recorded, dropped with what they hold.  The walk is in
   grad.c. */

#include "node.h"

#include <string.h>

#include "memory.h"
#include "shape.h"

static _Thread_local bool recording = true;
static _Thread_local uint64_t next_id;
static _Thread_local struct {
  const char *source;
  int line;
} place;

bool peri_set_recording (bool on) {
  bool was = recording;
  recording = on;
  return was;
}

void peri_set_place (const char *source, int line) {
  place.source = source;
  place.line = line;
}

static size_t node_size (int nin) {
  return sizeof(peri_node) + (size_t) nin * sizeof(peri_edge);
}

static peri_node *new_node (int op, int nin, const peri_tensor *y) {
  peri_node *n = peri__alloc(node_size(nin));
  if (!n) return NULL;
  n->ref = 1;
  n->op = (uint8_t) op;
  n->consumed = n->seen = n->needed = n->target = 0;
  n->nin = nin;
  n->id = next_id++;
  n->shape = peri_shape_of(y);
  n->out = NULL;
  n->line = place.line;
  n->source = place.source;
  n->g = NULL;
  n->link = NULL;
  peri__count_object(1);
  return n;
}

bool peri__record (const peri_call *c, int flags, peri_tensor *y) {
  bool tracked = false;
  if (!recording || y->dtype != PERI_REAL) return true;
  for (int i = 0; i < c->nin; i++) tracked |= c->in[i]->node != NULL;
  if (!tracked) return true;
  peri_node *n = new_node(c->op, c->nin, y);
  if (!n) return false;
  n->a = c->a;
  for (int i = 0; i < c->nin; i++) {
    peri_edge *e = &n->in[i];
    bool reads = i < PERI_MAXINPUT && flags >> i & 1;
    e->node = c->in[i]->node;
    if (e->node) e->node->ref++;
    e->x = reads ? peri_keep(c->in[i]) : NULL;
    e->version = c->in[i]->storage->version;
    int axis = c->a.axis < 0 ? c->a.axis + c->in[i]->ndim : c->a.axis;
    e->size = axis >= 0 && axis < c->in[i]->ndim ? c->in[i]->shape[axis] : 0;
  }
  if (flags & PERI_READS_OUT) {
    n->out = y->storage;
    n->out->ref++;
    n->out_version = n->out->version;
  }
  y->node = n;
  return true;
}

/* Nodes waiting to be taken apart.  A drop in the middle of another only joins the queue, so that a
   chain of any length needs no stack. */
static _Thread_local peri_node *doomed;
static _Thread_local bool dooming;

void peri__node_drop (peri_node *n) {
  if (!n || --n->ref) return;
  n->link = doomed;
  doomed = n;
  if (dooming) return;
  dooming = true;
  while (doomed) {
    peri_node *m = doomed;
    doomed = m->link;
    for (int i = 0; i < m->nin; i++) {
      peri_drop(m->in[i].x);
      peri__node_drop(m->in[i].node);
    }
    peri__storage_drop(m->out);
    peri__count_object(-1);
    peri__free(m, node_size(m->nin));
  }
  dooming = false;
}

peri_tensor *peri_output (const peri_node *n) {
  peri_tensor *y = peri__wrap(n->out, PERI_REAL, n->shape);
  if (!y) return NULL;
  y->node = (peri_node *) n;
  y->node->ref++;
  return y;
}

peri_status peri_require_grad (peri_tensor *x, bool on) {
  if (!x) return peri_error();
  if (on && x->dtype != PERI_REAL)
    return peri_fail(PERI_E_TYPE, "requires_grad: x is %s; only real tensors have gradients",
                     peri_dtype_name(x->dtype));
  if (on && x->node) return PERI_OK;
  if (!on) {
    peri__node_drop(x->node);
    x->node = NULL;
    return PERI_OK;
  }
  x->node = new_node(PERI_NOPS, 0, x);
  return x->node ? PERI_OK : peri_error();
}

bool peri_requires_grad (const peri_tensor *x) {
  return x->node != NULL;
}
