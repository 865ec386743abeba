/* Which kernels run on this machine. */
#ifndef PERI_CPU_H
#define PERI_CPU_H

/* 0, 1, 2 for x86-64-v2, v3, v4: the best the CPU has, or less if PERIGEE_CPU asks for it. */
int peri__cpu_level (void);

#endif
