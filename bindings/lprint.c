/* Tensors as text.  Holds formatting only. */
#include "lib.h"

int peri__tensor_text (lua_State *L);

int peri__tensor_text (lua_State *L) {
  const peri_tensor *x = peri__check_tensor(L, 1);
  char shape[PERI_SHAPETEXT];
  lua_pushfstring(L, "%s %s", peri_shape_text(x, shape), peri_dtype_name((peri_dtype)x->dtype));
  return 1;
}
