/* Convolution by oneDNN: a bounded cache of primitives by task and sizes.  Data lie channels last as
   everywhere; only weights take the primitive's own layout. */

#include "convolution/dnnconv.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dnn.h"

enum { ENTRIES = 512, MOSTDIMS = 6 };

typedef struct {
  peri__conv c;
  int64_t task, bias;
} conv_key;

struct peri__dnnconv {
  conv_key key;
  bool used;
  int users;
  uint64_t last;                /* when it was asked for */
  dnnl_primitive_t run, pack, unpack;
  dnnl_memory_desc_t x, w, y, plain, bias, scratch;
  const char *kernel;
};

/* The functions of the library, each under its own name. */
#define FUNCTIONS(F) \
  F(engine_create) F(stream_create) F(stream_destroy) F(memory_create) F(memory_destroy) \
  F(memory_desc_init_by_strides) F(memory_desc_init_by_tag) F(memory_desc_get_size) \
  F(memory_desc_equal) F(primitive_attr_create) F(primitive_attr_set_scratchpad_mode) \
  F(primitive_desc_create) F(primitive_desc_destroy) F(primitive_desc_query) \
  F(primitive_desc_query_md) F(primitive_create) F(primitive_destroy) F(primitive_execute) \
  F(reorder_primitive_desc_create) F(dilated_convolution_forward_desc_init) \
  F(dilated_convolution_backward_data_desc_init) F(dilated_convolution_backward_weights_desc_init)
static struct {
#define DECLARE(name) __typeof__(dnnl_##name) *name;
  FUNCTIONS(DECLARE)
} dnn;

static bool ready;
static dnnl_engine_t engine;
static dnnl_primitive_attr_t attributes;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;      /* guards what follows */
static peri__dnnconv *cache[ENTRIES];
static uint64_t now;

static void load (void) {
  ready = peri__dnn_ready();
#define FIND(name) \
  if (ready) *(void **) &dnn.name = peri__dnn_find("dnnl_" #name); \
  if (!dnn.name) ready = false;
  FUNCTIONS(FIND)
  ready = ready && dnn.engine_create(&engine, dnnl_cpu, 0) == dnnl_success
          && dnn.primitive_attr_create(&attributes) == dnnl_success
          && dnn.primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)
             == dnnl_success;
}

/* --- descriptions --- */

/* (batch, spatial.., channel) as oneDNN numbers its axes: batch, channel, spatial. */
static bool describe_data (dnnl_memory_desc_t *m, const peri__conv *c, const int64_t size[3],
                           int64_t channels) {
  int n = (int) c->axes;
  dnnl_dims_t dims = {c->batch, channels}, strides = {0, 1};
  int64_t step = channels;
  for (int a = n - 1; a >= 0; a--) {
    dims[2 + a] = size[3 - n + a];
    strides[2 + a] = step;
    step *= dims[2 + a];
  }
  strides[0] = step;
  return dnn.memory_desc_init_by_strides(m, 2 + n, dims, dnnl_f32, strides) == dnnl_success;
}

/* (k.., in / groups, out): groups, out / groups, in / groups, spatial. */
static bool describe_weights (dnnl_memory_desc_t *plain, dnnl_memory_desc_t *any,
                              const peri__conv *c) {
  int n = (int) c->axes, g = c->groups > 1;
  dnnl_dims_t dims = {c->groups}, strides = {c->out / c->groups};
  dims[g] = c->out / c->groups;
  strides[g] = 1;
  dims[g + 1] = c->in / c->groups;
  strides[g + 1] = c->out;
  int64_t step = c->in / c->groups * c->out;
  for (int a = n - 1; a >= 0; a--) {
    dims[g + 2 + a] = c->k[3 - n + a];
    strides[g + 2 + a] = step;
    step *= dims[g + 2 + a];
  }
  n += g + 2;
  return dnn.memory_desc_init_by_strides(plain, n, dims, dnnl_f32, strides) == dnnl_success
         && dnn.memory_desc_init_by_tag(any, n, dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

static bool describe (dnnl_convolution_desc_t *d, peri__dnnconv *p) {
  const peri__conv *c = &p->key.c;
  int n = (int) c->axes;
  dnnl_dims_t stride, dilation, low, high, out = {c->out};
  dnnl_memory_desc_t any;
  for (int a = 0, b = 3 - n; a < n; a++, b++) {
    stride[a] = c->stride[b];
    dilation[a] = c->dilation[b] - 1;
    low[a] = c->low[b];
    high[a] = (c->y[b] - 1) * c->stride[b] + peri__conv_reach(c, b) - c->low[b] - c->x[b];
  }
  if (!describe_data(&p->x, c, c->x, c->in) || !describe_data(&p->y, c, c->y, c->out)
      || !describe_weights(&p->plain, &any, c)
      || dnn.memory_desc_init_by_tag(&p->bias, 1, out, dnnl_f32, dnnl_x) != dnnl_success)
    return false;
  if (p->key.task == PERI__CONV_OUTPUT)
    return dnn.dilated_convolution_forward_desc_init(d, dnnl_forward_inference,
             dnnl_convolution_direct, &p->x, &any, p->key.bias ? &p->bias : NULL, &p->y, stride,
             dilation, low, high) == dnnl_success;
  if (p->key.task == PERI__CONV_INPUT)
    return dnn.dilated_convolution_backward_data_desc_init(d, dnnl_convolution_direct, &p->x, &any,
             &p->y, stride, dilation, low, high) == dnnl_success;
  return dnn.dilated_convolution_backward_weights_desc_init(d, dnnl_convolution_direct, &p->x, &any,
           NULL, &p->y, stride, dilation, low, high) == dnnl_success;
}

static bool make_reorder (dnnl_primitive_t *r, const dnnl_memory_desc_t *from,
                          const dnnl_memory_desc_t *to) {
  dnnl_primitive_desc_t d;
  if (dnn.reorder_primitive_desc_create(&d, from, engine, to, engine, NULL) != dnnl_success)
    return false;
  bool made = dnn.primitive_create(r, d) == dnnl_success;
  dnn.primitive_desc_destroy(d);
  return made;
}

/* Fills in p; p->run stays NULL when there is no good primitive. */
static void make (peri__dnnconv *p) {
  dnnl_convolution_desc_t d;
  dnnl_primitive_desc_t pd;
  if (!describe(&d, p)) return;
  if (dnn.primitive_desc_create(&pd, &d, attributes, engine, NULL) != dnnl_success) return;
  int weights = p->key.task == PERI__CONV_WEIGHT;
  if (dnn.primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &p->kernel) == dnnl_success
      && !strstr(p->kernel, "ref") && !strstr(p->kernel, "gemm")) {
    p->w = *dnn.primitive_desc_query_md(pd, weights ? dnnl_query_diff_weights_md
                                                    : dnnl_query_weights_md, 0);
    p->scratch = *dnn.primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    if (make_reorder(weights ? &p->unpack : &p->pack, weights ? &p->w : &p->plain,
                     weights ? &p->plain : &p->w)
        && dnn.primitive_create(&p->run, pd) != dnnl_success)
      p->run = NULL;
  }
  dnn.primitive_desc_destroy(pd);
}

static void discard (peri__dnnconv *p) {
  if (!p) return;
  if (p->run) dnn.primitive_destroy(p->run);
  if (p->pack) dnn.primitive_destroy(p->pack);
  if (p->unpack) dnn.primitive_destroy(p->unpack);
  free(p);
}

/* --- the cache --- */

/* Where the key is, or where it may go: the oldest of its neighbours that nobody uses. */
static int find_place (const conv_key *key) {
  uint64_t hash = 0xcbf29ce484222325u, word, best = UINT64_MAX;
  int place = -1;
  for (size_t i = 0; i < sizeof *key; i += sizeof word) {
    memcpy(&word, (const char *) key + i, sizeof word);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  for (int i = 0; i < 16; i++) {
    int at = (int) ((hash + (uint64_t) i) % ENTRIES);
    peri__dnnconv *p = cache[at];
    if (p && memcmp(&p->key, key, sizeof *key) == 0) return at;
    if (p && p->users) continue;
    if ((p ? p->last : 0) < best) {
      best = p ? p->last : 0;
      place = at;
    }
  }
  return place;
}

peri__dnnconv *peri__dnnconv_find (peri__conv_task task, const peri__conv *c, bool bias) {
  conv_key key = {.c = *c, .task = task, .bias = bias};
  if (sizeof(peri_real) != sizeof(float)) return NULL;
  pthread_once(&once, load);
  if (!ready || !peri__dnn_ready()) return NULL;
  pthread_mutex_lock(&lock);
  int at = find_place(&key);
  peri__dnnconv *p = at < 0 ? NULL : cache[at];
  if (at >= 0 && (!p || memcmp(&p->key, &key, sizeof key) != 0)) {
    discard(p);
    cache[at] = p = calloc(1, sizeof *p);
    if (p) {
      p->key = key;
      make(p);
    }
  }
  if (p) {
    p->last = ++now;
    if (p->run) p->users++;
    else p = NULL;
  }
  pthread_mutex_unlock(&lock);
  return p;
}

void peri__dnnconv_release (peri__dnnconv *p) {
  if (!p) return;
  pthread_mutex_lock(&lock);
  p->users--;
  pthread_mutex_unlock(&lock);
}

size_t peri__dnnconv_scratch (const peri__dnnconv *p) { return dnn.memory_desc_get_size(&p->scratch); }

size_t peri__dnnconv_weights (const peri__dnnconv *p) { return dnn.memory_desc_get_size(&p->w); }

bool peri__dnnconv_same_weights (const peri__dnnconv *p, const peri__dnnconv *q) {
  return dnn.memory_desc_equal(&p->w, &q->w);
}

const char *peri__dnnconv_kernel (const peri__dnnconv *p) { return p->kernel; }

/* --- running --- */

/* An array a primitive works on, what it calls it, and NULL where there is none. */
typedef struct {
  int name;
  const dnnl_memory_desc_t *what;
  const void *data;
} operand;

static bool execute (dnnl_primitive_t run, const operand *o, int n) {
  dnnl_exec_arg_t args[5];
  dnnl_stream_t stream = NULL;
  int made = 0;
  peri__dnn_ready();                              /* of this thread */
  bool well = dnn.stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
  for (int i = 0; well && i < n; i++) {
    if (!o[i].data) continue;
    args[made].arg = o[i].name;
    well = dnn.memory_create(&args[made].memory, o[i].what, engine, (void *) o[i].data)
           == dnnl_success;
    made += well;
  }
  well = well && dnn.primitive_execute(run, stream, made, args) == dnnl_success;
  while (made > 0) dnn.memory_destroy(args[--made].memory);
  if (stream) dnn.stream_destroy(stream);
  return well;
}

bool peri__dnnconv_reorder (peri__dnnconv *p, bool back, peri_real *plain, peri_real *own) {
  if (back)
    return execute(p->unpack, (operand[]) {{DNNL_ARG_FROM, &p->w, own},
                                           {DNNL_ARG_TO, &p->plain, plain}}, 2);
  return execute(p->pack, (operand[]) {{DNNL_ARG_FROM, &p->plain, plain},
                                       {DNNL_ARG_TO, &p->w, own}}, 2);
}

bool peri__dnnconv_run (peri__dnnconv *p, peri_real *x, peri_real *w, peri_real *y,
                        const peri_real *bias, void *scratch) {
  operand pad = {DNNL_ARG_SCRATCHPAD, &p->scratch, scratch};
  if (p->key.task == PERI__CONV_OUTPUT)
    return execute(p->run, (operand[]) {{DNNL_ARG_SRC, &p->x, x}, {DNNL_ARG_WEIGHTS, &p->w, w},
                                        {DNNL_ARG_DST, &p->y, y}, pad,
                                        {DNNL_ARG_BIAS, &p->bias, bias}}, 5);
  if (p->key.task == PERI__CONV_INPUT)
    return execute(p->run, (operand[]) {{DNNL_ARG_DIFF_SRC, &p->x, x},
                                        {DNNL_ARG_WEIGHTS, &p->w, w},
                                        {DNNL_ARG_DIFF_DST, &p->y, y}, pad}, 4);
  return execute(p->run, (operand[]) {{DNNL_ARG_SRC, &p->x, x}, {DNNL_ARG_DIFF_WEIGHTS, &p->w, w},
                                      {DNNL_ARG_DIFF_DST, &p->y, y}, pad}, 4);
}
