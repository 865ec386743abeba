/* The frame of every fused update: check the lists, pack strided gradients, cut the work into
   chunks and run the caller's loop over them.  Knows no update rule. */

#include "fused/update.h"

#include <math.h>

#include "memory.h"
#include "node.h"
#include "parallel.h"
#include "shape.h"

/* One parameter in work: its whole span and the number of its first chunk. */
typedef struct {
  peri__span span;
  int64_t first;
} item;

typedef struct {
  const peri__update *u;
  item *items;
} job;

peri_status peri__check_option (const char *name, const char *option, double value, double low,
                                double high, bool open) {
  if (value >= low && (open ? value < high : value <= high)) return PERI_OK;
  if (isinf(high))
    return peri_fail(PERI_E_ARGUMENT, "%s: %s is %g; give a finite number >= %g", name, option,
                     value, low);
  return peri_fail(PERI_E_ARGUMENT, "%s: %s is %g; give a number in [%g, %g%c", name, option, value,
                   low, high, open ? ')' : ']');
}

/* --- checks --- */

static peri_status check_entry (const peri__update *u, int i, const char *label,
                                const peri_tensor *x, bool written) {
  char a[PERI_SHAPETEXT], b[PERI_SHAPETEXT];
  const peri_tensor *p = u->p[i];
  if (!x)
    return peri_error() ? peri_error()
                        : peri_fail(PERI_E_ARGUMENT, "%s: %s %d is missing", u->name, label, i + 1);
  if (x->dtype != PERI_REAL)
    return peri_fail(PERI_E_TYPE, "%s: %s %d is %s; only real tensors are updated", u->name, label,
                     i + 1, peri_dtype_name(x->dtype));
  if (x != p && !peri__same_shape(x, p))
    return peri_fail(PERI_E_SHAPE, "%s: %s %d has shape %s, its %s has shape %s", u->name, label,
                     i + 1, peri_shape_text(x, a), u->plabel, peri_shape_text(p, b));
  if (!written) return PERI_OK;
  if (x->node && x->node->nin)
    return peri_fail(PERI_E_GRAPH, "%s: %s %d is the result of an operation; only leaves are "
                     "updated in place", u->name, label, i + 1);
  if (!peri_is_contiguous(x))
    return peri_fail(PERI_E_SHAPE, "%s: %s %d of shape %s is a strided view; update the whole",
                     u->name, label, i + 1, peri_shape_text(x, a));
  return PERI_OK;
}

static peri_status check_lists (const peri__update *u) {
  for (int i = 0; i < u->n; i++) {
    peri_status bad = check_entry(u, i, u->plabel, u->p[i], true);
    if (!bad && u->g) bad = check_entry(u, i, u->glabel, u->g[i], false);
    for (int k = 0; k < PERI__NSTATES && !bad; k++)
      if (u->s[k]) bad = check_entry(u, i, u->slabel[k], u->s[k][i], true);
    if (bad) return bad;
  }
  return PERI_OK;
}

static peri_status check_values (const peri__update *u, const char *label, const double *values) {
  for (int i = 0; values && i < u->n; i++)
    if (!(values[i] >= 0 && values[i] < INFINITY))
      return peri_fail(PERI_E_ARGUMENT, "%s: %s %d is %g; give a finite number >= 0", u->name,
                       label, i + 1, values[i]);
  return PERI_OK;
}

/* --- claiming what is written --- */

static void bump (const peri__update *u, uint32_t by) {
  for (int i = 0; i < u->n; i++) {
    u->p[i]->storage->version += by;
    for (int k = 0; k < PERI__NSTATES; k++)
      if (u->s[k]) u->s[k][i]->storage->version += by;
  }
}

/* Bump every version by one and see that each rose by one only: a storage that is written twice
   would be written by two chunks at once.  before[] takes what the versions were. */
static peri_status claim (const peri__update *u, uint32_t *before) {
  uint32_t *was = before;
  for (int i = 0; i < u->n; i++) {
    *was++ = u->p[i]->storage->version;
    for (int k = 0; k < PERI__NSTATES; k++)
      if (u->s[k]) *was++ = u->s[k][i]->storage->version;
    if (u->g) *was++ = u->g[i]->storage->version;
  }
  bump(u, 1);
  was = before;
  for (int i = 0; i < u->n; i++) {
    const char *twice = u->p[i]->storage->version != *was++ + 1 ? u->plabel : NULL;
    for (int k = 0; k < PERI__NSTATES; k++)
      if (u->s[k] && u->s[k][i]->storage->version != *was++ + 1) twice = u->slabel[k];
    if (twice) {
      bump(u, (uint32_t) -1);
      return peri_fail(PERI_E_ARGUMENT, "%s: %s %d shares its memory with another entry; "
                       "give every tensor once", u->name, twice, i + 1);
    }
    if (u->g) was++;
  }
  return PERI_OK;
}

/* A gradient as one packed run that nobody writes. */
static const peri_real *read_only (const peri__update *u, int i, bool written) {
  peri_tensor *g = peri__packed(u->g[i]);
  if (g && written && g->storage == u->g[i]->storage) g = peri_clone(g);
  return g ? g->data : NULL;
}

/* --- running --- */

static void run_chunk (void *arg, int64_t chunk) {
  const job *j = arg;
  int low = 0, high = j->u->n - 1;
  while (low < high) {                     /* the last item that starts at or before the chunk */
    int middle = (low + high + 1) / 2;
    if (j->items[middle].first <= chunk) low = middle;
    else high = middle - 1;
  }
  const item *it = &j->items[low];
  int64_t from = (chunk - it->first) * PERI__UPDATE_CHUNK;
  peri__span s = it->span;
  s.n = s.n - from < PERI__UPDATE_CHUNK ? s.n - from : PERI__UPDATE_CHUNK;
  s.p += from;
  if (s.g) s.g += from;
  for (int k = 0; k < PERI__NSTATES; k++)
    if (s.s[k]) s.s[k] += from;
  j->u->loop(j->u->numbers, &s);
}

/* Fill the items and return the number of chunks, or a failure.  Empty parameters take no chunk;
   they share the number of the next, and the search above finds the last, which has one. */
static int64_t fill_items (const peri__update *u, const uint32_t *before, item *items) {
  int lists = 1 + (u->g != NULL);
  int64_t chunks = 0;
  for (int k = 0; k < PERI__NSTATES; k++) lists += u->s[k] != NULL;
  for (int i = 0; i < u->n; i++) {
    item *it = &items[i];
    *it = (item) {
      .span = {.n = u->p[i]->count, .p = u->p[i]->data, .rate = u->rates ? u->rates[i] : 1,
               .decay = u->decays ? u->decays[i] : u->decay}, .first = chunks
    };
    for (int k = 0; k < PERI__NSTATES; k++)
      if (u->s[k]) it->span.s[k] = u->s[k][i]->data;
    if (u->g) {
      bool written = u->g[i]->storage->version != before[(i + 1) * lists - 1];
      it->span.g = read_only(u, i, written);
      if (!it->span.g) return peri_error();
    }
    chunks += (it->span.n + PERI__UPDATE_CHUNK - 1) / PERI__UPDATE_CHUNK;
  }
  return chunks;
}

static int64_t elements (const peri__update *u) {
  int64_t n = 0;
  for (int i = 0; i < u->n; i++) n += u->p[i]->count;
  return n;
}

peri_status peri__update_run (const peri__update *u) {
  peri_status bad = check_lists(u);
  if (!bad) bad = check_values(u, "rate", u->rates);
  if (!bad) bad = check_values(u, "decay", u->decays);
  if (bad || u->n <= 0) return bad;
  size_t items_size = (size_t) u->n * sizeof(item);
  size_t size = items_size + (size_t) u->n * (2 + PERI__NSTATES) * sizeof(uint32_t);
  item *items = peri__alloc(size);
  if (!items) return peri_error();
  uint32_t *before = (uint32_t *) ((char *) items + items_size);
  bad = claim(u, before);
  if (!bad) {
    peri_scope scope = peri_scope_open();
    int64_t chunks = fill_items(u, before, items);
    job j = {u, items};
    if (chunks < 0) {
      bad = (peri_status) chunks;
      bump(u, (uint32_t) -1);
    } else if (elements(u) <= PERI__UPDATE_CHUNK) {       /* waking a thread costs more */
      for (int64_t i = 0; i < chunks; i++) run_chunk(&j, i);
    } else {
      peri__parallel(chunks, run_chunk, &j);
    }
    peri_scope_close(scope);
  }
  peri__free(items, size);
  return bad;
}
