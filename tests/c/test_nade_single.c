/* The suite of NADE and the Gibbs step in float32, whose tolerances are those of float32. */
#include "test_nade.c"
