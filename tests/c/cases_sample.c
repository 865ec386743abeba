/* Cases of padding, pooling, resampling, rearranging and ordering, whose arguments must fit the
   shapes. */
#include "cases.h"

/* --- padding --- */

static bool make_pads (builder *b, bool adjoint) {
  static const char *const shapes[] = {"ABC", "C", "1B1", "0BC"}, *const modes = "zmec";
  static const int ends[][2] = {{1, 1}, {0, 0}, {1, 0}, {0, 1}};
  for (int s = 0; s < 4; s++)
    for (int mode = 0; mode < 4; mode++)
      for (int e = 0; e < 4; e++)
        for (int axis = -3; axis < 3; axis++)
          for (int lie = 0; lie < NLIES; lie++) {
            peri_dims shape = shape_of(b, shapes[s]);
            if (axis < -shape.n || axis >= shape.n || (s && (lie || e > 1))) continue;
            int at = axis < 0 ? axis + shape.n : axis;
            bool mirrors = mode == 1, fits = shape.at[at] > (mirrors ? 1 : 0) || mode == 0 || e == 1;
            if (!fits || !wanted(b)) continue;
            if (adjoint) shape.at[at] += ends[e][0] + ends[e][1];
            b->c->a.axis = axis;
            b->c->a.i[0] = ends[e][0];
            b->c->a.i[1] = ends[e][1];
            b->c->a.mode = mode;
            add_name(b, "%s, axis %d, %d and %d, mode %c", shapes[s], axis, ends[e][0], ends[e][1],
                     modes[mode]);
            add_lying(b, shape, lie);
            return true;
          }
  return false;
}

bool make_pad (builder *b) {
  return make_pads(b, false);
}

bool make_unpad (builder *b) {
  return make_pads(b, true);
}

/* --- images --- */

/* (batch, axes.., channels); `which` 1 has size-1 axes and 2 no batch, 3 no channels. */
static peri_dims image_of (const builder *b, int axes, int which) {
  static const int small[] = {2, 5, 4, 3}, large[] = {3, 37, 26, 9};
  const int *size = b->sizes == LARGE_SIZES ? large : small;
  peri_dims d = {.n = axes + 2, .at = {size[0]}};
  for (int a = 0; a < axes; a++) d.at[a + 1] = size[a + 1];
  d.at[axes + 1] = b->sizes == LARGE_SIZES ? 19 : 2;
  if (which == 1) d.at[0] = d.at[axes + 1] = 1;
  if (which == 2) d.at[0] = 0;
  if (which == 3) d.at[axes + 1] = 0;
  return d;
}

static const struct { const char *name; int axes; peri_window w; } windows[] = {
  {"2 by 2", 2, {.size = {2, 2, 2}, .dilation = {1, 1, 1}}},
  {"3 by 2, overlapping, padded", 2,
   {.size = {3, 2}, .stride = {2, 1}, .dilation = {1, 1}, .low = {1, 1}, .high = {1, 0}, .listed = 2}},
  {"dilated", 2, {.size = {2, 2}, .stride = {1, 1}, .dilation = {2, 3}, .listed = 2}},
  {"same", 2, {.size = {3, 2}, .stride = {2, 2}, .dilation = {1, 1}, .padding = PERI_PAD_SAME}},
  {"causal", 1, {.size = {3}, .stride = {1}, .dilation = {1}, .padding = PERI_PAD_CAUSAL}},
  {"three axes", 3, {.size = {2, 2, 2}, .stride = {1, 2, 1}, .dilation = {1, 1, 1}}},
};

static bool make_pools (builder *b, bool adjoint) {
  for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
    for (int which = 0; which < 4; which++)
      for (int lie = 0; lie < NLIES; lie++) {
        if ((which && lie) || !wanted(b)) continue;
        peri_dims shape = image_of(b, windows[i].axes, which);
        b->c->a.window = windows[i].w;
        add_name(b, "%s, image %d", windows[i].name, which);
        if (adjoint) {                         /* its input has the sizes of a pooled image */
          peri_tensor *pooled = peri_avg_pool(peri_full(PERI_REAL, shape, 0), windows[i].w);
          b->c->a.dims.n = windows[i].axes;
          for (int a = 0; a < windows[i].axes; a++) b->c->a.dims.at[a] = shape.at[a + 1];
          shape = peri_shape_of(pooled);
        }
        add_lying(b, shape, lie);
        return true;
      }
  return false;
}

bool make_pool (builder *b) {
  return make_pools(b, false);
}

bool make_unpool (builder *b) {
  return make_pools(b, true);
}

/* Sizes of every axis larger, smaller and the same; modes 1 for a row that has none. */
static bool make_sizes (builder *b, int modes) {
  static const int sizes[][3] = {{3, 7, 2}, {10, 2, 3}, {1, 1, 1}, {5, 4, 3}};
  for (int mode = 0; mode < modes; mode++)
    for (int axes = 2; axes != 0; axes = axes == 2 ? 1 : axes == 1 ? 3 : 0)
      for (int i = 0; i < 4; i++)
        for (int which = 0; which < 4; which++)
          for (int lie = 0; lie < NLIES; lie++) {
            if (((which || i > 1 || axes != 2) && lie) || !wanted(b)) continue;
            b->c->a.mode = mode;
            b->c->a.dims.n = axes;
            for (int a = 0; a < axes; a++)
              b->c->a.dims.at[a] = sizes[i][a] * (b->sizes == LARGE_SIZES ? 5 : 1);
            add_name(b, "%d axes to %d.., image %d, mode %d", axes, sizes[i][0], which, mode);
            add_lying(b, image_of(b, axes, which), lie);
            return true;
          }
  return false;
}

bool make_adaptive (builder *b) {
  return make_sizes(b, 1);
}

bool make_resize (builder *b) {
  return make_sizes(b, 4);
}

/* Points away from the centres of pixels, where the derivative jumps; some outside the image. */
static bool make_grids (builder *b, bool adjoint) {
  static const int points[][2] = {{3, 2}, {1, 1}, {0, 2}};
  for (int mode = 0; mode < 2; mode++)
    for (int which = 0; which < 4; which++)
      for (int p = 0; p < 3; p++)
        for (int lie = 0; lie < NLIES; lie++)
          for (int alone = 0; alone < 3; alone++) {
            if (((which || p) && (lie || alone)) || !wanted(b)) continue;
            peri_dims image = image_of(b, 2, which), grid = image;
            for (int k = 0; k < 2; k++)
              grid.at[k + 1] = points[p][k] * (b->sizes == LARGE_SIZES ? 23 : 1);
            b->c->a.mode = mode;
            if (adjoint) b->c->a.dims = dims(2, (int) image.at[1], (int) image.at[2]);
            peri_dims sampled = grid;
            grid.at[3] = 2;
            add_name(b, "image %d, %d points, border %d, alone %d", which, points[p][0], mode, alone);
            if (alone == 2) add_input(b, adjoint ? sampled : image, PACKED, AS_IS, false);
            else add_lying(b, adjoint ? sampled : image, lie);
            add_input(b, grid, (test_layout) (lie % NLAYOUTS), AS_IS, alone != 1);
            peri_tensor *g = b->c->base[b->c->nin - 1];
            for (int64_t k = 0; k < g->count; k++) {
              int n = (int) image.at[2 - k % 2];
              double at = draw_integer(-2, n) + draw_number(0.15, 0.85);
              *element(g, k) = (peri_real) ((2 * at + 1) / n - 1);
            }
            return true;
          }
  return false;
}

bool make_grid (builder *b) {
  return make_grids(b, false);
}

bool make_ungrid (builder *b) {
  return make_grids(b, true);
}

/* --- copies in another order --- */

bool make_roll (builder *b) {
  static const int shifts[] = {1, -1, 0, 7};
  static const char *const shapes[] = {"ABC", "1B1", "0BC"};
  for (int s = 0; s < 3; s++)
    for (int i = 0; i < 4; i++)
      for (int axis = -3; axis < 3; axis++)
        for (int lie = 0; lie < NLIES; lie++) {
          if ((s && lie) || !wanted(b)) continue;
          b->c->a.i[0] = shifts[i];
          b->c->a.axis = axis;
          add_name(b, "%s, axis %d by %d", shapes[s], axis, shifts[i]);
          add_lying(b, shape_of(b, shapes[s]), lie);
          return true;
        }
  return false;
}

bool make_tile (builder *b) {
  static const struct { const char *shape; int n, count[4]; } list[] = {
    {"ABC", 3, {2, 1, 3}}, {"ABC", 1, {2}}, {"ABC", 4, {2, 1, 2, 1}}, {"ABC", 3, {1, 1, 1}},
    {"ABC", 3, {3, 2, 1}}, {"", 2, {2, 3}}, {"C", 0, {0}}, {"BC", 2, {0, 2}}, {"0C", 2, {2, 2}},
    {"1B1", 3, {2, 2, 2}}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
    for (int lie = 0; lie < NLIES; lie++) {
      peri_dims shape = shape_of(b, list[i].shape);
      if ((lie && shape.n < 2) || !wanted(b)) continue;
      b->c->a.dims.n = list[i].n;
      for (int k = 0; k < list[i].n; k++) b->c->a.dims.at[k] = list[i].count[k];
      add_name(b, "%s, counts %d", list[i].shape, (int) i);
      add_lying(b, shape, lie);
      return true;
    }
  return false;
}

bool make_triangle (builder *b) {
  static const char *const shapes[] = {"ABC", "CB", "BB", "1C", "C1", "0C", "C0"};
  static const int k[] = {0, -1, 2, 100, -100};
  for (int s = 0; s < 7; s++)
    for (int i = 0; i < 5; i++)
      for (int lie = 0; lie < NLIES; lie++) {
        if (!wanted(b)) continue;
        b->c->a.i[0] = k[i];
        add_name(b, "%s, diagonal %d", shapes[s], k[i]);
        add_lying(b, shape_of(b, shapes[s]), lie);
        return true;
      }
  return false;
}

bool make_blocks (builder *b) {
  int deep = b->op->name[0] == 'd', more = b->sizes == LARGE_SIZES ? 9 : 1;
  for (int r = 1; r <= 3; r++)
    for (int which = 0; which < 3; which++)
      for (int lie = 0; lie < NLIES; lie++) {
        if (!wanted(b)) continue;
        b->c->a.i[0] = r;
        add_name(b, "block %d, image %d", r, which);
        add_lying(b, dims(4, which == 1 ? 0 : 2, deep ? 2 : 2 * r * more, deep ? 3 : r * more,
                          (which == 2 ? 1 : 2) * (deep ? r * r * more : 1)), lie);
        return true;
      }
  return false;
}

/* --- order --- */

bool make_topk (builder *b) {
  static const char *const shapes[] = {"ABC", "V", "1C"};
  static const int few[] = {1, 2, 0, 1000};
  for (int s = 0; s < 3; s++)
    for (int i = 0; i < 4; i++)
      for (int axis = -3; axis < 3; axis++)
        for (int largest = 0; largest < 2; largest++)
          for (int lie = 0; lie < NLIES; lie++) {
            peri_dims shape = shape_of(b, shapes[s]);
            if (axis < -shape.n || axis >= shape.n || (s && lie)) continue;
            int64_t n = shape.at[axis < 0 ? axis + shape.n : axis];
            if ((few[i] > n && i < 3) || !wanted(b)) continue;
            b->c->a.i[0] = few[i] < n ? few[i] : n;
            b->c->a.axis = axis;
            b->c->a.keep = largest;
            add_name(b, "%s, %d along axis %d, %d", shapes[s], few[i], axis, largest);
            add_lying(b, shape, lie);
            return true;
          }
  return false;
}

bool make_search (builder *b) {
  static const struct { const char *edges, *x; } list[] = {
    {"C", "ABC"}, {"C", ""}, {"C", "V"}, {"ABC", "ABM"}, {"BC", "BC"}, {"B0", "BC"}, {"C", "0C"},
    {"1", "BC"}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
    for (int lie = 0; lie < NLAYOUTS; lie++) {
      if (!wanted(b)) continue;
      add_name(b, "edges %s, x %s", list[i].edges, list[i].x);
      add_input(b, shape_of(b, list[i].edges), (test_layout) lie, AS_IS, true);
      peri_tensor *e = b->c->base[0];
      int64_t n = e->shape[e->ndim - 1];
      for (int64_t k = 0; k < e->count; k++)
        *element(e, k) = (peri_real) ((double) (k % n) / 2 - 1);
      add_lying(b, shape_of(b, list[i].x), lie);
      return true;
    }
  return false;
}
