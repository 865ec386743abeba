/* The options of a convolution or a pooling, {stride = 2, padding = {1, 1}, ...}, as a window. */

#include <string.h>

#include "lib.h"

enum { AXES = 3, LARGEST = 1 << 24 };

static int32_t check_number (lua_State *L, int arg, const char *name, int i, int low) {
  int isint;
  lua_Integer n = lua_tointegerx(L, i, &isint);
  if (!isint || lua_type(L, i) != LUA_TNUMBER || n < low || n > LARGEST)
    peri__bad_argument(L, arg, "%s = %s; want an integer of at least %d", name, peri__describe(L, i),
                       low);
  return (int32_t) n;
}

/* Every list of one window has as many entries as there are spatial axes. */
static int check_length (lua_State *L, int arg, const char *name, peri_window *w) {
  lua_Unsigned n = lua_rawlen(L, -1);
  if (n < 1 || n > AXES || (w->listed && w->listed != n))
    peri__bad_argument(L, arg, "%s has %d entries; give a number, or one for each spatial axis", name,
                       (int) n);
  w->listed = (uint8_t) n;
  return (int) n;
}

/* The value on the top, a number for all axes or a list, into to. */
static void read_sizes (lua_State *L, int arg, const char *name, int low, peri_window *w,
                        int32_t *to) {
  if (!lua_istable(L, -1)) {
    to[0] = to[1] = to[2] = check_number(L, arg, name, -1, low);
    return;
  }
  int n = check_length(L, arg, name, w);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    to[k] = check_number(L, arg, name, -1, low);
    lua_pop(L, 1);
  }
}

/* padding: a number, "same", "causal", or a list of numbers and pairs {low, high} */
static void read_padding (lua_State *L, int arg, peri_window *w) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *word = lua_tostring(L, -1);
    w->padding = strcmp(word, "same") == 0 ? PERI_PAD_SAME
               : strcmp(word, "causal") == 0 ? PERI_PAD_CAUSAL : PERI_PAD_GIVEN;
    if (w->padding == PERI_PAD_GIVEN)
      peri__bad_argument(L, arg, "padding '%s'; want \"same\", \"causal\", a number, or a list", word);
    return;
  }
  if (!lua_istable(L, -1)) {
    read_sizes(L, arg, "padding", 0, w, w->low);
    memcpy(w->high, w->low, sizeof w->high);
    return;
  }
  int n = check_length(L, arg, "padding", w);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    if (lua_istable(L, -1)) {
      lua_rawgeti(L, -1, 1);
      lua_rawgeti(L, -2, 2);
      w->low[k] = check_number(L, arg, "padding", -2, 0);
      w->high[k] = check_number(L, arg, "padding", -1, 0);
      lua_pop(L, 2);
    } else {
      w->low[k] = w->high[k] = check_number(L, arg, "padding", -1, 0);
    }
    lua_pop(L, 1);
  }
}

static void read_option (lua_State *L, int arg, const char *name, peri_window *w) {
  if (strcmp(name, "size") == 0) read_sizes(L, arg, name, 1, w, w->size);
  else if (strcmp(name, "stride") == 0) read_sizes(L, arg, name, 1, w, w->stride);
  else if (strcmp(name, "dilation") == 0) read_sizes(L, arg, name, 1, w, w->dilation);
  else if (strcmp(name, "output_padding") == 0) read_sizes(L, arg, name, 0, w, w->extra);
  else if (strcmp(name, "padding") == 0) read_padding(L, arg, w);
  else if (strcmp(name, "groups") == 0) w->groups = check_number(L, arg, name, -1, 1);
  else
    peri__bad_argument(L, arg, "unknown option '%s'; a window has size, stride, dilation, padding, "
                       "output_padding and groups", name);
}

void peri__check_window (lua_State *L, int i, int stride, peri_window *w) {
  *w = (peri_window) PERI_WINDOW_ONE;
  for (int k = 0; k < AXES; k++) w->stride[k] = stride;
  if (i == 0) return;
  luaL_checktype(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      peri__bad_argument(L, i, "options are names, as in {stride = 2}; got a %s", luaL_typename(L, -2));
    read_option(L, i, lua_tostring(L, -2), w);
  }
}
