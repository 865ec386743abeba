/* The normalisations' suite in float32, whose tolerances are those of float32. */
#include "test_norm.c"
