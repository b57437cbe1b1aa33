/*
 * libFuzzer: any bytes on the line, and any bytes to a decoder. The first byte chooses: a codec, or the engine with the rest
 * as its line, framed or not. `corpus.ts` makes the first inputs from the golden vectors.
 */
#include <stdlib.h>
#include <string.h>

#include "../src/codec.h"
#include "../src/hal.h"
#include "../src/state.h"

void hal_send(const uint8_t *bytes, size_t length) { (void)bytes, (void)length; }
uint32_t hal_feed(void) { return 0; }
uint32_t hal_eject(void) { return 0; }
uint32_t hal_skip(uint32_t rows) { return rows & 0; }
void hal_throw_out(void) {}
uint32_t hal_print(unsigned colorant, uint32_t y, const uint8_t *bits, size_t stride, unsigned rows, uint32_t new_rows) {
  volatile uint8_t seen = 0;
  for (size_t i = 0; i < stride * rows; i++) seen ^= bits[i];
  (void)colorant, (void)y, (void)seen;
  return new_rows & 0;
}

static void decode(const uint8_t *data, size_t size) {
  if (size < 3) return;
  size_t stride = data[1] + 1u, length = stride * (data[2] % 16 + 1u);
  uint8_t *plain = malloc(length);
  codec_decode((enum codec)(data[0] % CODEC_COUNT), data + 3, size - 3, plain, length, stride);
  free(plain);
}

static void send(uint8_t type, uint16_t number, const uint8_t *payload, size_t length) {
  uint8_t line[MAX_STUFFED + 2];
  struct frame frame = {type, 1, number, payload, length};
  size_t n = frame_encode(&frame, line);
  for (size_t i = 0; i < n; i++) engine_receive(line[i], number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t hello[6] = {1, 1, 1, 0, 0, 0};
  if (size == 0) return 0;
  if (data[0] < 64) {
    decode(data, size);
    return 0;
  }
  engine_init(0);
  send(FRAME_HELLO, 0, hello, sizeof hello);
  if (data[0] < 96) {
    for (size_t i = 1; i < size; i++) engine_receive(data[i], 0);
    engine_poll(0);
    return 0;
  }
  /* Frames with a right CRC: type, argument, length, payload. Of the type's upper bits, one of 0x20 takes the argument for the
     frame's number, which else is the next, and one of 0x40 sends nothing but lets the sensors see the argument. */
  uint16_t next = 0;
  for (size_t at = 1; at + 3 <= size;) {
    uint8_t type = data[at], argument = data[at + 1];
    size_t length = data[at + 2];
    if (length > size - at - 3) length = size - at - 3;
    uint32_t now_ms = data[0] & 1 ? (uint32_t)at * 500 : 0;
    if (type & 0x40) engine_set_reasons((uint32_t)argument << (type & 7), now_ms);
    else send(type & 0x1f, type & 0x20 ? argument : next++, data + at + 3, length);
    at += 3 + length;
    while (engine_poll(now_ms)) {
    }
  }
  return 0;
}
