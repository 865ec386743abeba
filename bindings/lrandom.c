/* Random streams for scripts. */

#include "lib.h"

/* The clock of a family is its root's; a fork keeps the root alive as its user value. */
typedef struct {
  peri_rng r;
  uint64_t clock;
} rng_box;

static rng_box *check_box (lua_State *L, int i) {
  return luaL_checkudata(L, i, "perigee.rng");
}

peri_rng *peri__check_rng (lua_State *L, int i) {
  return &check_box(L, i)->r;
}

static rng_box *push_box (lua_State *L, int root) {
  rng_box *b = lua_newuserdatauv(L, sizeof *b, 1);
  b->clock = 0;
  if (root) {
    if (lua_getiuservalue(L, root, 1) != LUA_TUSERDATA) {
      lua_pop(L, 1);
      lua_pushvalue(L, root);
    }
    lua_setiuservalue(L, -2, 1);
  }
  luaL_setmetatable(L, "perigee.rng");
  return b;
}

/* peri.rng(seed) */
static int l_rng (lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1);
  rng_box *b = push_box(L, 0);
  b->r = peri_rng_seed((uint64_t) seed, &b->clock);
  return 1;
}

/* rng:fork(name): a stream of its own, the same for the same name whatever was drawn before */
static int l_fork (lua_State *L) {
  rng_box *parent = check_box(L, 1);
  const char *name = luaL_checkstring(L, 2);
  push_box(L, 1)->r = peri_rng_fork(&parent->r, name);
  return 1;
}

/* rng:at(time): the stream as at that time, whatever the clock says */
static int l_at (lua_State *L) {
  rng_box *parent = check_box(L, 1);
  lua_Integer time = luaL_checkinteger(L, 2);
  if (time < 0) return peri__bad_argument(L, 2, "time cannot be negative");
  push_box(L, 1)->r = peri_rng_at(&parent->r, (uint64_t) time);
  return 1;
}

/* rng:tick(time) sets the clock that this stream shares with its root and all forks; returns rng */
static int l_tick (lua_State *L) {
  rng_box *b = check_box(L, 1);
  lua_Integer time = luaL_checkinteger(L, 2);
  if (time < 0) return peri__bad_argument(L, 2, "time cannot be negative");
  if (!b->r.clock) return peri__bad_argument(L, 1, "this stream is pinned by at(); tick the one it "
                                             "came from");
  *(uint64_t *) b->r.clock = (uint64_t) time;
  lua_settop(L, 1);
  return 1;
}

static int push_draw (lua_State *L, peri_tensor *(*draw) (peri_rng *, peri_dims)) {
  peri_rng *r = peri__check_rng(L, 1);
  peri_dims shape = peri__check_shape(L, 2, false, NULL);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, draw(r, shape));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

static int l_uniform (lua_State *L) { return push_draw(L, peri_rng_uniform); }
static int l_normal (lua_State *L) { return push_draw(L, peri_rng_normal); }
static int l_exponential (lua_State *L) { return push_draw(L, peri_rng_exponential); }
static int l_gumbel (lua_State *L) { return push_draw(L, peri_rng_gumbel); }

/* Tensors are checked after the box is pushed, which may run the collector. */
static int push_from (lua_State *L, peri_tensor *(*draw) (peri_rng *, peri_tensor *)) {
  peri_rng *r = peri__check_rng(L, 1);
  lua_settop(L, 2);
  peri_box *b = peri__push_box(L);
  peri_tensor *p = peri__check_tensor(L, 2);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, draw(r, p));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* rng:bernoulli(p): real 0 or 1 of p's shape, and so on: see random.h */
static int l_bernoulli (lua_State *L) { return push_from(L, peri_rng_bernoulli); }
static int l_gamma (lua_State *L) { return push_from(L, peri_rng_gamma); }
static int l_log_gamma (lua_State *L) { return push_from(L, peri_rng_log_gamma); }
static int l_poisson (lua_State *L) { return push_from(L, peri_rng_poisson); }
static int l_von_mises (lua_State *L) { return push_from(L, peri_rng_von_mises); }
static int l_categorical (lua_State *L) { return push_from(L, peri_rng_categorical); }

/* rng:binomial(n, p): n a tensor or a number */
static int l_binomial (lua_State *L) {
  peri_rng *r = peri__check_rng(L, 1);
  lua_settop(L, 3);
  bool number = lua_type(L, 2) == LUA_TNUMBER;
  peri_box *b = peri__push_box(L);
  peri_tensor *p = peri__check_tensor(L, 3), *n = number ? NULL : peri__check_tensor(L, 2);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, peri_rng_binomial(r, number ? peri_number(lua_tonumber(L, 2)) : n, p));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* rng:integers({2, 3}, low, high): index, both ends included */
static int l_integers (lua_State *L) {
  peri_rng *r = peri__check_rng(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  peri_dims shape = peri__check_shape(L, 2, false, NULL);
  lua_Integer low = luaL_checkinteger(L, 3), high = luaL_checkinteger(L, 4);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, peri_rng_integers(r, shape, low, high));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* rng:permutation(n): index, 1..n shuffled */
static int l_permutation (lua_State *L) {
  peri_rng *r = peri__check_rng(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, peri_rng_permutation(r, n));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

int peri__open_random (lua_State *L) {
  static const luaL_Reg functions[] = {{"rng", l_rng}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"fork", l_fork}, {"at", l_at}, {"tick", l_tick},
    {"uniform", l_uniform}, {"normal", l_normal}, {"bernoulli", l_bernoulli},
    {"exponential", l_exponential}, {"gumbel", l_gumbel}, {"gamma", l_gamma},
    {"log_gamma", l_log_gamma}, {"poisson", l_poisson}, {"binomial", l_binomial},
    {"von_mises", l_von_mises}, {"categorical", l_categorical},
    {"integers", l_integers}, {"permutation", l_permutation}, {NULL, NULL}};
  luaL_newmetatable(L, "perigee.rng");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
