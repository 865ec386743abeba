/* Cases of conv, conv_transpose and conv_weight: every rank, stride, padding, dilation and grouping
   that takes a way of its own through the runtime. */

#include "cases.h"

typedef struct {
  const char *name;
  int axes, batch, in, out, groups, x[3], k[3], stride[3], dilation[3], low[3], high[3], extra[3];
  int padding;
} geometry;

#define ONES {1, 1, 1}

static const geometry geometries[] = {
  {"3 by 2", 2, 2, 2, 3, 1, {4, 5}, {3, 2}, ONES, ONES, {1, 0}, {1, 0}, {0}, 0},
  {"one axis", 1, 2, 3, 2, 1, {6}, {3}, ONES, ONES, {0}, {0}, {0}, 0},
  {"three axes", 3, 1, 2, 2, 1, {3, 2, 3}, {2, 2, 2}, ONES, ONES, {1, 0, 1}, {0, 1, 1}, {0}, 0},
  {"three axes, stride 2", 3, 1, 1, 2, 1, {4, 3, 3}, {2, 3, 1}, {2, 2, 2}, ONES, {0}, {0}, {0}, 0},
  {"stride 2", 2, 2, 2, 2, 1, {5, 6}, {4, 3}, {2, 2}, ONES, {1, 1}, {1, 1}, {0}, 0},
  {"stride 3 and 1, output padding", 2, 1, 2, 2, 1, {5, 4}, {2, 3}, {3, 1}, ONES, {1, 1}, {1, 1},
   {2, 0}, 0},
  {"stride beyond the filter", 1, 2, 2, 3, 1, {7}, {1}, {3}, ONES, {0}, {0}, {1}, 0},
  {"dilation", 2, 1, 2, 2, 1, {6, 5}, {2, 3}, ONES, {3, 2}, {2, 2}, {1, 2}, {0}, 0},
  {"dilation and stride", 1, 2, 2, 2, 1, {9}, {3}, {2}, {2}, {3}, {2}, {1}, 0},
  {"more padding than filter", 2, 1, 2, 2, 1, {3, 3}, {2, 2}, ONES, ONES, {3, 2}, {0, 3}, {0}, 0},
  {"same", 2, 2, 2, 2, 1, {4, 5}, {3, 4}, ONES, ONES, {0}, {0}, {0}, PERI_PAD_SAME},
  {"same, stride 2", 2, 1, 2, 3, 1, {4, 5}, {3, 4}, {2, 2}, ONES, {0}, {0}, {0}, PERI_PAD_SAME},
  {"causal", 1, 2, 2, 4, 1, {9}, {2}, ONES, {4}, {0}, {0}, {0}, PERI_PAD_CAUSAL},
  {"causal, stride 2", 1, 2, 2, 2, 1, {8}, {3}, {2}, ONES, {0}, {0}, {0}, PERI_PAD_CAUSAL},
  {"one by one", 2, 2, 3, 2, 1, {3, 4}, ONES, ONES, ONES, {0}, {0}, {0}, 0},
  {"one by one, stride 2", 2, 2, 3, 2, 1, {3, 4}, ONES, {2, 2}, ONES, {0}, {0}, {0}, 0},
  {"the whole of x", 2, 3, 2, 3, 1, {3, 2}, {3, 2}, ONES, ONES, {0}, {0}, {0}, 0},
  {"one channel in", 2, 2, 1, 3, 1, {5, 4}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 0},
  {"one channel out", 2, 2, 3, 1, 1, {5, 4}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 0},
  {"one channel, stride 2", 2, 1, 1, 1, 1, {5, 6}, {4, 4}, {2, 2}, ONES, {1, 1}, {1, 1}, {1, 0}, 0},
  {"two groups", 2, 1, 4, 6, 2, {4, 3}, {3, 2}, ONES, ONES, {1, 1}, {1, 0}, {0}, 0},
  {"two groups, stride 2", 1, 2, 4, 2, 2, {7}, {3}, {2}, ONES, {1}, {0}, {0}, 0},
  {"depthwise", 2, 2, 3, 3, 3, {4, 3}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 0},
  {"depthwise, stride and dilation", 1, 2, 3, 3, 3, {8}, {2}, {2}, {3}, {1}, {2}, {1}, 0},
  {"depthwise, two out for each", 1, 2, 2, 4, 2, {5}, {3}, ONES, ONES, {1}, {1}, {0}, 0},
  {"one position", 2, 1, 1, 1, 1, ONES, ONES, ONES, ONES, {0}, {0}, {0}, 0},
  {"empty batch", 2, 0, 2, 3, 1, {4, 5}, {3, 2}, ONES, ONES, {1, 0}, {1, 0}, {0}, 0},
  {"no channels in", 1, 2, 0, 3, 1, {4}, {3}, ONES, ONES, {1}, {1}, {0}, 0},
  {"no channels out", 1, 2, 3, 0, 1, {4}, {3}, ONES, ONES, {1}, {1}, {0}, 0},
};

/* Large enough to be cut into images, and, where the batch is small, into bands. */
static geometry enlarge (geometry g) {
  bool whole = true;
  for (int a = 0; a < g.axes; a++) whole &= g.x[a] == g.k[a];
  for (int a = 0; a < g.axes && !whole; a++) g.x[a] *= g.axes == 1 ? 40 : g.axes == 2 ? 5 : 3;
  if (g.groups > 1 && g.groups == g.in) g.groups *= 16;
  if (g.in > 1) g.in *= 16;
  if (g.out > 1) g.out *= 16;
  if (g.batch > 1) g.batch *= 5;
  return g;
}

static peri_window window_of (const geometry *g) {
  peri_window w = PERI_WINDOW_ONE;
  for (int a = 0; a < g->axes; a++) {
    w.stride[a] = g->stride[a];
    w.dilation[a] = g->dilation[a];
    w.low[a] = g->low[a];
    w.high[a] = g->high[a];
  }
  w.groups = g->groups;
  w.padding = (uint8_t) g->padding;
  return w;
}

static int out_size (const geometry *g, int a) {
  if (a >= g->axes) return 1;
  int reach = (g->k[a] - 1) * g->dilation[a] + 1;
  if (g->padding != PERI_PAD_GIVEN) return (g->x[a] + g->stride[a] - 1) / g->stride[a];
  return (g->x[a] + g->low[a] + g->high[a] - reach) / g->stride[a] + 1;
}

/* (batch, sizes.., channels), or (sizes.., in, out) of a filter */
static peri_dims data_shape (const geometry *g, const int *size, int channels) {
  peri_dims d = {.n = g->axes + 2, .at = {g->batch}};
  for (int a = 0; a < g->axes; a++) d.at[a + 1] = size[a];
  d.at[g->axes + 1] = channels;
  return d;
}

static peri_dims filter_shape (const geometry *g) {
  peri_dims d = {.n = g->axes + 2};
  for (int a = 0; a < g->axes; a++) d.at[a] = g->k[a];
  d.at[g->axes] = g->in / g->groups;
  d.at[g->axes + 1] = g->out;
  return d;
}

/* A bias for each channel, one for all, or none. */
static void add_bias (builder *b, int channels, int lie) {
  if (lie == 3) {
    b->c->base[b->c->nin++] = peri_number(0);
    add_name(b, ", no bias");
  } else {
    add_input(b, lie == 1 ? dims(0) : dims(1, channels), lie == 2 ? SLICED : PACKED, AS_IS, true);
  }
}

typedef enum { FORWARD, ADJOINT, WEIGHT } which_row;

static bool make (builder *b, which_row row) {
  for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++)
    for (int lie = 0; lie < NLIES; lie++) {
      if (!wanted(b)) continue;
      geometry g = geometries[i];
      if (b->sizes == LARGE_SIZES) g = enlarge(g);
      add_name(b, "%s", g.name);
      b->c->a.window = window_of(&g);
      if (row == ADJOINT) {
        for (int a = 0; a < g.axes; a++) b->c->a.window.extra[a] = g.extra[a];
        int y[3] = {out_size(&g, 0), out_size(&g, 1), out_size(&g, 2)};
        if (lie == 4 && g.axes == 1) {            /* the size said instead */
          b->c->a.window.extra[0] = 0;
          b->c->a.window.size[0] = g.x[0];
        }
        add_lying(b, data_shape(&g, y, g.out), lie);
        add_lying(b, filter_shape(&g), 2 * lie % NLIES);
        add_bias(b, g.in, lie);
      } else if (row == FORWARD) {
        add_lying(b, data_shape(&g, g.x, g.in), lie);
        add_lying(b, filter_shape(&g), 2 * lie % NLIES);
        add_bias(b, g.out, lie);
      } else {
        int y[3] = {out_size(&g, 0), out_size(&g, 1), out_size(&g, 2)};
        for (int a = 0; a < g.axes; a++) b->c->a.window.size[a] = g.k[a];
        add_lying(b, data_shape(&g, g.x, g.in), lie);
        add_lying(b, data_shape(&g, y, g.out), 2 * lie % NLIES);
      }
      return true;
    }
  return false;
}

bool make_conv (builder *b) { return make(b, FORWARD); }
bool make_conv_transpose (builder *b) { return make(b, ADJOINT); }
bool make_conv_weight (builder *b) { return make(b, WEIGHT); }
