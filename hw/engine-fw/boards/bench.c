#include "bench.h"

#include <stdbool.h>

#include "../src/engine.h"
#include "../src/hal.h"

uint32_t bench_rows_per_ms = 24;

/* Dots of a full tank: some thirty pages of A4 at 600 dpi, a third of them covered. */
#define TANK_DOTS 360000000u
#define LOW_PERCENT 10u

static uint32_t dots_left[COLORANTS];
static uint32_t sensors;

static void fill_tanks(uint32_t dots) {
  for (unsigned i = 0; i < COLORANTS; i++) dots_left[i] = dots;
}

void bench_init(void) {
  sensors = 0;
  fill_tanks(TANK_DOTS);
  bench_poll(0);
}

static uint32_t reason_of(uint8_t key) {
  switch (key) {
  case 'p':
    return REASON_MEDIA_EMPTY;
  case 'm':
    return REASON_MEDIA_NEEDED;
  case 'j':
    return REASON_MEDIA_JAM;
  case 'c':
    return REASON_COVER_OPEN;
  case 't':
    return REASON_OUTPUT_FULL;
  case 'f':
    return REASON_FUSER_HOT;
  case 'g':
    return REASON_FUSER_COLD;
  case 'w':
    return REASON_WASTE_FULL;
  case 'h':
    return REASON_ENGINE_FAULT;
  default:
    return 0;
  }
}

void bench_key(uint8_t key, uint32_t now_ms) {
  bool ends = key >= 'A' && key <= 'Z';
  uint32_t reason = reason_of(ends ? (uint8_t)(key - 'A' + 'a') : key);
  sensors = ends ? sensors & ~reason : sensors | reason;
  if (key == 'i') fill_tanks(0);
  if (key == 'l') fill_tanks(TANK_DOTS / 20);
  if (key == 'I' || key == 'L' || key == 'R') fill_tanks(TANK_DOTS);
  if (key == 'R') sensors = 0;
  if (key == 'x') engine_press_cancel(now_ms);
}

void bench_poll(uint32_t now_ms) {
  uint32_t reasons = sensors;
  for (unsigned i = 0; i < COLORANTS; i++) {
    uint32_t percent = (dots_left[i] + TANK_DOTS / 100 - 1) / (TANK_DOTS / 100);
    if (percent == 0) reasons |= REASON_SUPPLY_EMPTY;
    else if (percent < LOW_PERCENT) reasons |= REASON_SUPPLY_LOW;
    engine_set_level(i, (uint8_t)percent);
  }
  engine_set_reasons(reasons, now_ms);
}

uint32_t hal_feed(void) { return 20; }
uint32_t hal_eject(void) { return 20; }
uint32_t hal_skip(uint32_t rows) { return rows / bench_rows_per_ms; }
void hal_throw_out(void) {}

uint32_t hal_print(unsigned colorant, uint32_t y, const uint8_t *bits, size_t stride, unsigned rows, uint32_t new_rows) {
  /* A head would take the bits here. */
  (void)y;
  static const uint8_t ones[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
  uint32_t dots = 0;
  for (size_t i = 0; i < stride * rows; i++) dots += ones[bits[i] & 15] + ones[bits[i] >> 4];
  dots_left[colorant] -= dots < dots_left[colorant] ? dots : dots_left[colorant];
  return new_rows / bench_rows_per_ms;
}
