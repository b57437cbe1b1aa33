/*
 * What both boards have for mechanics: nothing but time, tanks that dots are taken from, and keys that play the sensors.
 * It is hal.h but for `hal_send`.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

/* Rows that are laid in a millisecond, 1 at least. */
extern uint32_t bench_rows_per_ms;

/* Once, after engine_init. */
void bench_init(void);
/*
 * A key of the bench panel: a small letter brings trouble, its capital ends it, `R` ends all.
 *   p paper out   m other paper needed   j jam   i ink empty   c cover open   t output tray full
 *   f fuser too hot   g fuser too cold   w waste full   h head out of order
 *   l ink down to a twentieth, L tanks full again (as I and R do)   x cancel is pressed
 */
void bench_key(uint8_t key, uint32_t now_ms);
/* To be called after engine_poll: what the sensors saw meanwhile. */
void bench_poll(uint32_t now_ms);

#endif
