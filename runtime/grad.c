/* The walk from a result back to what it depends on.  Derivatives are the operations' own; here is
   only the order, the accumulation, the un-broadcasting and the consumption of the graph. */

#include "perigee/grad.h"

#include <stdio.h>

#include "memory.h"
#include "node.h"
#include "shape.h"

enum { MAXIN = 64 };            /* gradients of one node held on the stack; longer lists are allocated */

/* Every node that y depends on, linked, in no order; marks them seen.  The link of a node doubles
   as the stack of those to be looked into, so nothing is allocated. */
static peri_node *collect (peri_node *top) {
  peri_node *stack = top, *found = NULL;
  top->seen = 1;
  top->link = NULL;
  while (stack) {
    peri_node *n = stack;
    stack = n->link;
    n->link = found;
    found = n;
    for (int i = 0; i < n->nin; i++) {
      peri_node *m = n->in[i].node;
      if (!m || m->seen) continue;
      m->seen = 1;
      m->link = stack;
      stack = m;
    }
  }
  return found;
}

static peri_node *merge (peri_node *a, peri_node *b) {
  peri_node *head = NULL, **tail = &head;
  while (a && b) {
    peri_node **first = a->id > b->id ? &a : &b;
    *tail = *first;
    tail = &(*first)->link;
    *first = *tail;
  }
  *tail = a ? a : b;
  return head;
}

/* Newest first: a node comes before everything it depends on. */
static peri_node *sort (peri_node *list) {
  peri_node *run[64] = {NULL};
  while (list) {
    peri_node *n = list;
    int i = 0;
    list = n->link;
    n->link = NULL;
    for (; run[i]; i++) {
      n = merge(run[i], n);
      run[i] = NULL;
    }
    run[i] = n;
  }
  for (int i = 0; i < 64; i++) list = merge(list, run[i]);
  return list;
}

static peri_node *reverse (peri_node *list) {
  peri_node *back = NULL;
  while (list) {
    peri_node *n = list;
    list = n->link;
    n->link = back;
    back = n;
  }
  return back;
}

/* Mark what lies on a way to a target.  Takes and returns the list newest first. */
static peri_node *mark_needed (peri_node *list) {
  list = reverse(list);
  for (peri_node *n = list; n; n = n->link) {
    n->needed = n->target;
    for (int i = 0; i < n->nin && !n->needed; i++)
      n->needed = n->in[i].node && n->in[i].node->needed;
  }
  return reverse(list);
}

/* Sum g over the axes along which a tensor of `shape` was broadcast. */
static peri_tensor *sum_to (peri_tensor *g, peri_dims shape) {
  peri_dims axes = {.n = 0};
  if (!g || peri__has_shape(g, shape)) return g;
  int lead = g->ndim - shape.n;
  for (int i = 0; i < g->ndim; i++)
    if (i < lead || (shape.at[i - lead] == 1 && g->shape[i] != 1)) axes.at[axes.n++] = i;
  if (axes.n) g = peri_sum(g, axes, true);
  return g && !peri__has_shape(g, shape) ? peri_reshape(g, shape) : g;
}

static bool saved_intact (const peri_node *n) {
  for (int i = 0; i < n->nin; i++)
    if (n->in[i].x && n->in[i].x->storage->version != n->in[i].version) {
      peri_fail(PERI_E_GRAPH, "%s: input %d was changed in place after it was used; compute the "
                "gradient before the update, or use a clone", peri_ops[n->op].name, i + 1);
      return false;
    }
  if (n->out && n->out->version != n->out_version) {
    peri_fail(PERI_E_GRAPH, "%s: its result was changed in place after it was computed; use a clone",
              peri_ops[n->op].name);
    return false;
  }
  return true;
}

/* Add what one node passes on to its inputs' nodes. */
static void pass_on (peri_node *n, peri_tensor **dx) {
  for (int i = 0; i < n->nin; i++) {
    peri_node *m = n->in[i].node;
    if (!m || !m->needed || !dx[i]) continue;
    peri_tensor *g = sum_to(dx[i], m->shape);
    if (m->g) g = peri_add(m->g, g);
    if (!g) return;
    peri_keep(g);
    peri_drop(m->g);
    m->g = g;
  }
}

/* Drop what n saved; it cannot be walked again. */
static void consume (peri_node *n) {
  for (int i = 0; i < n->nin; i++) {
    if (!n->in[i].x) continue;
    peri_drop(n->in[i].x);
    n->in[i].x = NULL;
    n->consumed = 1;
  }
  if (n->out) {
    peri__storage_drop(n->out);
    n->out = NULL;
    n->consumed = 1;
  }
}

static void walk_node (peri_node *n, int flags) {
  peri_tensor *few[MAXIN] = {NULL}, **dx = few;
  size_t size = (size_t) n->nin * sizeof *dx;
  if (n->consumed) {
    peri_fail(PERI_E_GRAPH, "%s: this graph was consumed by an earlier grad; pass keep_graph = true "
              "there to walk it twice", peri_ops[n->op].name);
    return;
  }
  if (!saved_intact(n)) return;
  peri_scope scope = peri_scope_open();
  if (n->nin > MAXIN) {
    dx = peri__alloc(size);
    for (int i = 0; dx && i < n->nin; i++) dx[i] = NULL;
  }
  if (dx) {
    peri__code[n->op].vjp(n, n->g, dx);
    if (!peri_error()) pass_on(n, dx);
    if (dx != few) peri__free(dx, size);
  }
  peri_scope_close(scope);
  if (!(flags & (PERI_KEEP_GRAPH | PERI_CREATE_GRAPH)) && !peri_error()) consume(n);
}

/* Say where the operation stood whose derivative failed. */
static void add_place (const peri_node *n) {
  char text[512];
  peri_status code = peri_error();
  snprintf(text, sizeof text, "%s", peri_message());
  peri_clear();
  if (n->source)
    peri_fail(code, "%s (in the backward of %s at %s:%d)", text, peri_ops[n->op].name, n->source,
              n->line);
  else peri_fail(code, "%s (in the backward of %s)", text, peri_ops[n->op].name);
}

/* A gradient for a target, under a handle of the current scope. */
static peri_tensor *result (const peri_tensor *x) {
  peri_tensor *g = x->node->g;
  if (!g) return peri_full(PERI_REAL, peri_shape_of(x), 0);
  peri_tensor *y = peri__view(g);
  if (y && g->node) {
    y->node = g->node;
    y->node->ref++;
  }
  return y;
}

static bool check (peri_tensor *y, peri_tensor *seed, int n, peri_tensor *const *x) {
  char ty[PERI_SHAPETEXT], ts[PERI_SHAPETEXT];
  if (!y) return false;
  for (int i = 0; i < n; i++) {
    if (!x[i]) return false;
    if (!x[i]->node) {
      peri_fail(PERI_E_GRAPH, "grad: input %d of shape %s does not require a gradient; call "
                "x:requires_grad(true) before it is used", i + 1, peri_shape_text(x[i], ty));
      return false;
    }
  }
  if (!y->node)
    peri_fail(PERI_E_GRAPH, "grad: the result of shape %s depends on nothing that requires a gradient",
              peri_shape_text(y, ty));
  else if (!seed && y->count != 1)
    peri_fail(PERI_E_SHAPE, "grad: the result has shape %s, not one element; sum it or pass seed",
              peri_shape_text(y, ty));
  else if (seed && !peri__same_shape(seed, y))
    peri_fail(PERI_E_SHAPE, "grad: the seed has shape %s and the result %s; make them equal",
              peri_shape_text(seed, ts), peri_shape_text(y, ty));
  else if (seed && seed->dtype != PERI_REAL)
    peri_fail(PERI_E_TYPE, "grad: the seed is %s, not real", peri_dtype_name(seed->dtype));
  else return true;
  return false;
}

peri_status peri_grad (peri_tensor *y, peri_tensor *seed, int n, peri_tensor *const *x, int flags,
                       peri_tensor **dx) {
  for (int i = 0; i < n; i++) dx[i] = NULL;
  if (peri_error() || !check(y, seed, n, x)) return peri_error() ? peri_error() : PERI_E_ARGUMENT;
  bool recording = peri_set_recording(flags & PERI_CREATE_GRAPH);
  peri_scope scope = peri_scope_open();
  peri_node *list = collect(y->node);
  for (int i = 0; i < n; i++) x[i]->node->target = 1;
  list = mark_needed(sort(list));
  y->node->g = peri_keep(seed ? seed : peri_full(PERI_REAL, peri_shape_of(y), 1));
  for (peri_node *m = list; m && !peri_error(); m = m->link) {
    if (!m->needed || !m->g || m->nin == 0) continue;
    walk_node(m, flags);
    if (peri_error()) add_place(m);
    if (m->target) continue;
    peri_drop(m->g);
    m->g = NULL;
  }
  peri_scope_close(scope);
  for (int i = 0; i < n && !peri_error(); i++) dx[i] = result(x[i]);
  for (int i = 0; i < n; i++) {
    if (peri_error()) dx[i] = NULL;
    x[i]->node->target = 0;
  }
  while (list) {
    peri_node *m = list;
    list = m->link;
    m->link = NULL;
    m->seen = m->needed = 0;
    peri_drop(m->g);
    m->g = NULL;
  }
  peri_set_recording(recording);
  return peri_error();
}
