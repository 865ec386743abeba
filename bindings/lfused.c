/* peri.fused: the in-place updates of include/perigee/fused.h, for lists of tensors.
   Knows no defaults: those belong to the Lua classes in lua/perigee/optim. */

#include "lib.h"

#include "perigee/fused.h"

/* --- arguments --- */

static double number_field (lua_State *L, int i, const char *name) {
  if (lua_getfield(L, i, name) != LUA_TNUMBER)
    peri__bad_argument(L, i, "option %s is a %s; give a number", name, luaL_typename(L, -1));
  double v = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

/* Absent means false. */
static bool flag_field (lua_State *L, int i, const char *name) {
  int type = lua_getfield(L, i, name);
  if (type != LUA_TBOOLEAN && type != LUA_TNIL)
    peri__bad_argument(L, i, "option %s is a %s; give true or false", name, luaL_typename(L, -1));
  bool v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

/* The tensors of the list at argument i, in memory that Lua owns; *n is their number.  Raw access,
   so no code of the script runs between the check and the call. */
static peri_tensor **check_list (lua_State *L, int i, int *n) {
  luaL_checktype(L, i, LUA_TTABLE);
  lua_Unsigned length = lua_rawlen(L, i);
  if (length > 1000000) peri__bad_argument(L, i, "a list of %d tensors or more", 1000000);
  peri_tensor **list = lua_newuserdatauv(L, (size_t) (length + 1) * sizeof *list, 0);
  for (lua_Unsigned k = 1; k <= length; k++) {
    lua_rawgeti(L, i, (lua_Integer) k);
    if (!peri__is_box(L, -1))
      peri__bad_argument(L, i, "entry %d is a %s; give a list of tensors", (int) k,
                         luaL_typename(L, -1));
    list[k - 1] = ((peri_box *) lua_touserdata(L, -1))->tensor;
    if (!list[k - 1])
      peri__bad_argument(L, i, "entry %d is empty: its scope closed; x:keep() keeps it", (int) k);
    lua_pop(L, 1);
  }
  *n = (int) length;
  return list;
}

/* A list that goes with one of n entries; nil gives NULL where it may be absent. */
static peri_tensor **check_partner (lua_State *L, int i, int n, bool may_lack) {
  int m;
  if (may_lack && lua_isnoneornil(L, i)) return NULL;
  peri_tensor **list = check_list(L, i, &m);
  if (m != n) peri__bad_argument(L, i, "a list of %d tensors; the first list has %d", m, n);
  return list;
}

/* A list of n numbers in an option, or NULL when it is absent.  Raw access, as for tensors. */
static const double *numbers_field (lua_State *L, int i, const char *name, int n) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, i);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TTABLE)
    peri__bad_argument(L, i, "option %s is a %s; give a list of numbers", name, lua_typename(L, type));
  if (lua_rawlen(L, -1) != (lua_Unsigned) n)
    peri__bad_argument(L, i, "option %s has %d numbers for %d parameters", name,
                       (int) lua_rawlen(L, -1), n);
  double *list = lua_newuserdatauv(L, (size_t) (n + 1) * sizeof *list, 0);
  for (int k = 1; k <= n; k++) {
    if (lua_rawgeti(L, -2, k) != LUA_TNUMBER)
      peri__bad_argument(L, i, "option %s: entry %d is a %s; give a number", name, k,
                         luaL_typename(L, -1));
    list[k - 1] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

static int finish (lua_State *L, peri_status status) {
  return status ? peri__raise(L) : 0;
}

/* --- functions: options are read first, since reading them may run code of the script --- */

/* Every table of options may hold rates and decays, a number for each parameter. */

/* adam(parameters, gradients, m, v, top or nil, last or nil,
        {lr, beta1, beta2, eps, decay, scale, eps_hat}, t) */
static int l_adam (lua_State *L) {
  int n;
  luaL_checktype(L, 7, LUA_TTABLE);
  peri_adam o = {
    .lr = number_field(L, 7, "lr"), .beta1 = number_field(L, 7, "beta1"),
    .beta2 = number_field(L, 7, "beta2"), .eps = number_field(L, 7, "eps"),
    .decay = number_field(L, 7, "decay"), .scale = number_field(L, 7, "scale"),
    .eps_hat = flag_field(L, 7, "eps_hat")
  };
  int64_t t = luaL_checkinteger(L, 8);
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **m = check_partner(L, 3, n, false);
  peri_tensor **v = check_partner(L, 4, n, false);
  peri_tensor **top = check_partner(L, 5, n, true);
  peri_tensor **last = check_partner(L, 6, n, true);
  o.rates = numbers_field(L, 7, "rates", n);
  o.decays = numbers_field(L, 7, "decays", n);
  return finish(L, peri_adam_step(n, p, g, m, v, top, last, &o, t));
}

/* sgd(parameters, gradients, velocities or nil, {lr, momentum, decay, scale, nesterov}) */
static int l_sgd (lua_State *L) {
  int n;
  luaL_checktype(L, 4, LUA_TTABLE);
  peri_sgd o = {
    .lr = number_field(L, 4, "lr"), .momentum = number_field(L, 4, "momentum"),
    .decay = number_field(L, 4, "decay"), .scale = number_field(L, 4, "scale"),
    .nesterov = flag_field(L, 4, "nesterov")
  };
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **u = check_partner(L, 3, n, true);
  o.rates = numbers_field(L, 4, "rates", n);
  o.decays = numbers_field(L, 4, "decays", n);
  return finish(L, peri_sgd_step(n, p, g, u, &o));
}

/* rmsprop(parameters, gradients, v, means or nil, velocities or nil,
           {lr, rho, eps, momentum, decay, scale, eps_inside}) */
static int l_rmsprop (lua_State *L) {
  int n;
  luaL_checktype(L, 6, LUA_TTABLE);
  peri_rmsprop o = {
    .lr = number_field(L, 6, "lr"), .rho = number_field(L, 6, "rho"),
    .eps = number_field(L, 6, "eps"), .momentum = number_field(L, 6, "momentum"),
    .scale = number_field(L, 6, "scale"), .decay = number_field(L, 6, "decay"), .eps_inside = flag_field(L, 6, "eps_inside")
  };
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **v = check_partner(L, 3, n, false);
  peri_tensor **mean = check_partner(L, 4, n, true);
  peri_tensor **u = check_partner(L, 5, n, true);
  o.rates = numbers_field(L, 6, "rates", n);
  o.decays = numbers_field(L, 6, "decays", n);
  return finish(L, peri_rmsprop_step(n, p, g, v, mean, u, &o));
}

/* adagrad(parameters, gradients, v, {lr, eps, decay, scale}) */
static int l_adagrad (lua_State *L) {
  int n;
  luaL_checktype(L, 4, LUA_TTABLE);
  peri_adaptive o = {
    .lr = number_field(L, 4, "lr"), .eps = number_field(L, 4, "eps"),
    .decay = number_field(L, 4, "decay"), .scale = number_field(L, 4, "scale")
  };
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **v = check_partner(L, 3, n, false);
  o.rates = numbers_field(L, 4, "rates", n);
  o.decays = numbers_field(L, 4, "decays", n);
  return finish(L, peri_adagrad_step(n, p, g, v, &o));
}

/* adadelta(parameters, gradients, v, x, {lr, rho, eps, decay, scale}) */
static int l_adadelta (lua_State *L) {
  int n;
  luaL_checktype(L, 5, LUA_TTABLE);
  peri_adaptive o = {
    .lr = number_field(L, 5, "lr"), .rho = number_field(L, 5, "rho"),
    .eps = number_field(L, 5, "eps"), .decay = number_field(L, 5, "decay"),
    .scale = number_field(L, 5, "scale")
  };
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **v = check_partner(L, 3, n, false);
  peri_tensor **x = check_partner(L, 4, n, false);
  o.rates = numbers_field(L, 5, "rates", n);
  o.decays = numbers_field(L, 5, "decays", n);
  return finish(L, peri_adadelta_step(n, p, g, v, x, &o));
}

/* adamax(parameters, gradients, m, u, {lr, beta1, beta2, eps, decay, scale}, t) */
static int l_adamax (lua_State *L) {
  int n;
  luaL_checktype(L, 5, LUA_TTABLE);
  peri_adaptive o = {
    .lr = number_field(L, 5, "lr"), .beta1 = number_field(L, 5, "beta1"),
    .beta2 = number_field(L, 5, "beta2"), .eps = number_field(L, 5, "eps"),
    .decay = number_field(L, 5, "decay"), .scale = number_field(L, 5, "scale")
  };
  int64_t t = luaL_checkinteger(L, 6);
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **m = check_partner(L, 3, n, false);
  peri_tensor **u = check_partner(L, 4, n, false);
  o.rates = numbers_field(L, 5, "rates", n);
  o.decays = numbers_field(L, 5, "decays", n);
  return finish(L, peri_adamax_step(n, p, g, m, u, &o, t));
}

/* lion(parameters, gradients, m, {lr, beta1, beta2, decay, scale}) */
static int l_lion (lua_State *L) {
  int n;
  luaL_checktype(L, 4, LUA_TTABLE);
  peri_adaptive o = {
    .lr = number_field(L, 4, "lr"), .beta1 = number_field(L, 4, "beta1"),
    .beta2 = number_field(L, 4, "beta2"), .decay = number_field(L, 4, "decay"),
    .scale = number_field(L, 4, "scale")
  };
  peri_tensor **p = check_list(L, 1, &n);
  peri_tensor **g = check_partner(L, 2, n, false);
  peri_tensor **m = check_partner(L, 3, n, false);
  o.rates = numbers_field(L, 4, "rates", n);
  o.decays = numbers_field(L, 4, "decays", n);
  return finish(L, peri_lion_step(n, p, g, m, &o));
}

/* accumulate(sums, tensors, factor) */
static int l_accumulate (lua_State *L) {
  int n;
  double factor = luaL_checknumber(L, 3);
  peri_tensor **x = check_list(L, 1, &n);
  peri_tensor **y = check_partner(L, 2, n, false);
  return finish(L, peri_accumulate(n, x, y, factor));
}

/* ema(averages, parameters, decay) */
static int l_ema (lua_State *L) {
  int n;
  double decay = luaL_checknumber(L, 3);
  peri_tensor **a = check_list(L, 1, &n);
  peri_tensor **x = check_partner(L, 2, n, false);
  return finish(L, peri_ema_update(n, a, x, decay));
}

/* swap(tensors, partners) */
static int l_swap (lua_State *L) {
  int n;
  peri_tensor **x = check_list(L, 1, &n);
  peri_tensor **y = check_partner(L, 2, n, false);
  return finish(L, peri_swap(n, x, y));
}

/* norm(tensors) -> number */
static int l_norm (lua_State *L) {
  int n;
  double norm;
  peri_tensor **x = check_list(L, 1, &n);
  if (peri_global_norm(n, x, &norm)) return peri__raise(L);
  lua_pushnumber(L, norm);
  return 1;
}

int peri__open_fused (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"adam", l_adam}, {"sgd", l_sgd}, {"rmsprop", l_rmsprop}, {"ema", l_ema}, {"swap", l_swap},
    {"norm", l_norm}, {"adagrad", l_adagrad}, {"adadelta", l_adadelta}, {"adamax", l_adamax},
    {"lion", l_lion}, {"accumulate", l_accumulate}, {NULL, NULL}
  };
  luaL_newlib(L, functions);
  return 1;
}
