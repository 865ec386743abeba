/* The Philox 4x32-10 block function (Salmon et al. 2011, section 3.3). */
#ifndef PERI_PHILOX_H
#define PERI_PHILOX_H

#include <stdint.h>

void peri__philox (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
