/* Comparisons, rounding and selection.  Piecewise constant: only where has a derivative. */

#include "kernel/map.h"

PERI_MAP_BYTE(eq, 2, vmask(x == y))
PERI_MAP_BYTE(ne, 2, vmask(x != y))
PERI_MAP_BYTE(lt, 2, vmask(x < y))
PERI_MAP_BYTE(le, 2, vmask(x <= y))
PERI_MAP_BYTE(gt, 2, vmask(x > y))
PERI_MAP_BYTE(ge, 2, vmask(x >= y))
PERI_MAP_BYTE(is_finite, 1, vmask(x - x == 0))

PERI_MAP(sign, 1, vselect(x != x, x, vmask(x > 0) - vmask(x < 0)))
PERI_MAP(floor, 1, vfloor(x))
PERI_MAP(round, 1, vround(x))

/* x is the condition */
PERI_MAP(where, 3, vselect(x != 0, y, z))
void peri__where_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *c = peri_input(n, 0), *zero = peri_number(0);
  if (peri_wanted(n, 1)) dx[1] = peri_where(c, g, zero);
  if (peri_wanted(n, 2)) dx[2] = peri_where(c, zero, g);
}
