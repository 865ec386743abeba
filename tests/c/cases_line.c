/* Cases of rows that work along one axis on tensors of fitting shapes: derivatives of the softmax
   family, and losses with targets. */
#include "cases.h"

static const char *const shapes[] = {"ABC", "1BC", "BC", "C", "V", "0BC"};
enum { NSHAPES = 6 };

/* The axis of choice `axis`, -3..2, or false when the shape has none such. */
static bool fits (const peri_dims *shape, int axis) {
  return axis >= -shape->n && axis < shape->n;
}

bool make_along_both (builder *b) {
  for (int s = 0; s < NSHAPES; s++)
    for (int axis = -3; axis < 3; axis++)
      for (int lie = 0; lie < NLIES; lie++) {
        peri_dims shape = shape_of(b, shapes[s]);
        if (!fits(&shape, axis) || (lie && s > 1) || !wanted(b)) continue;
        b->c->a.axis = axis;
        add_name(b, "%s, axis %d", shapes[s], axis);
        add_lying(b, shape, lie);
        add_lying(b, shape, (lie + 1) % NLIES);
        return true;
      }
  return false;
}

static bool make_targets (builder *b, bool grad) {
  for (int s = 0; s < NSHAPES; s++)
    for (int axis = -3; axis < 3; axis++)
      for (int lie = 0; lie < NLIES; lie++)
        for (int smooth = 0; smooth < 2; smooth++) {
          peri_dims shape = shape_of(b, shapes[s]), lines = {.n = 0};
          if (!fits(&shape, axis) || (lie && s > 1)) continue;
          int at = axis < 0 ? axis + shape.n : axis;
          if (shape.at[at] == 0 || !wanted(b)) continue;
          for (int i = 0; i < shape.n; i++)
            if (i != at) lines.at[lines.n++] = shape.at[i];
          b->c->a.axis = axis;
          b->c->a.f[0] = smooth ? 0.1 : 0;
          add_name(b, "%s, axis %d%s", shapes[s], axis, smooth ? ", smoothed" : "");
          add_lying(b, shape, lie);
          add_index(b, lines, shape.at[at], (test_layout) (lie % NLAYOUTS));
          if (grad) add_lying(b, lines, (lie + 1) % NLIES);
          return true;
        }
  return false;
}

bool make_cross_entropy (builder *b) {
  return make_targets(b, false);
}

bool make_cross_entropy_grad (builder *b) {
  return make_targets(b, true);
}
