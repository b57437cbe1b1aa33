/*
 * A print engine on the engine link (docs/engine-link.md): the protocol and the order of things in link.c and print.c, the
 * board behind hal.h. One engine, static memory, no allocation, one thread: bytes and time come in by the calls below.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What this engine offers in WELCOME. */
#define WINDOW_FRAMES 16
#define MAX_BAND 8192
#define MAX_WIDTH 5100
#define MAX_HEIGHT 14000
/* Memory for messages that wait, in credit. */
#define CAPACITY 12288

/* Section 8. All but the low supply make the engine stand still. */
enum reason {
  REASON_MEDIA_EMPTY = 1 << 0,
  REASON_MEDIA_NEEDED = 1 << 1,
  REASON_MEDIA_JAM = 1 << 2,
  REASON_SUPPLY_EMPTY = 1 << 3,
  REASON_SUPPLY_LOW = 1 << 4,
  REASON_COVER_OPEN = 1 << 5,
  REASON_OUTPUT_FULL = 1 << 6,
  REASON_FUSER_HOT = 1 << 7,
  REASON_FUSER_COLD = 1 << 8,
  REASON_WASTE_FULL = 1 << 9,
  REASON_ENGINE_FAULT = 1 << 10,
};

#define COLORANTS 4
/* A tank without a sensor. */
#define LEVEL_UNKNOWN 255

/* Once, before all else. `entropy` may be anything; the time of the first greeting is mixed in. */
void engine_init(uint32_t entropy);
/* A byte came from the line. */
void engine_receive(uint8_t byte, uint32_t now_ms);
/* To be called again and again: what is due happens in here, one thing a call. True: there is more to do at once. */
bool engine_poll(uint32_t now_ms);
/* The sensors see trouble (bits of enum reason), or no longer. */
void engine_set_reasons(uint32_t reasons, uint32_t now_ms);
/* What is left of a supply, 0 to 100; LEVEL_UNKNOWN until told. */
void engine_set_level(unsigned colorant, uint8_t percent);
/* Somebody pressed cancel. */
void engine_press_cancel(uint32_t now_ms);

#endif
