/*
 * Puts golden vectors to the C code, line by line from standard input; vectors.test.ts writes them and reads the answers.
 *   frame HEX                        the line's bytes; answer: type session number payload, or none
 *   band CODEC STRIDE BYTES CODED    answer: the band undone, or none
 *   stream                           a new job for the engine
 *   message TYPE HEX                 its next message; answer: the refusal's number
 */
#include <stdio.h>
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
  (void)colorant, (void)y, (void)bits, (void)stride, (void)rows;
  return new_rows & 0;
}

static char line[1 << 17];
static uint8_t bytes[1 << 16];

static size_t from_hex(const char *hex) {
  size_t n = 0;
  for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++) bytes[n] = (uint8_t)byte;
  return n;
}

static void print_hex(const uint8_t *from, size_t length) {
  while (length--) printf("%02x", *from++);
  putchar('\n');
}

static void do_frame(const char *hex) {
  static struct frame_reader reader;
  struct frame frame;
  size_t n = from_hex(hex);
  for (size_t i = 0; i < n; i++) {
    if (!frame_push(&reader, bytes[i], &frame)) continue;
    printf("%u %u %u ", frame.type, frame.session, frame.number);
    print_hex(frame.payload, frame.length);
    return;
  }
  puts("none");
}

static void do_band(const char *arguments) {
  unsigned codec;
  size_t stride, length;
  int at;
  if (sscanf(arguments, "%u %zu %zu %n", &codec, &stride, &length, &at) != 3) exit(2);
  size_t coded_length = from_hex(arguments + at);
  /* Of just the size, so that a sanitizer sees a byte too many. */
  uint8_t *coded = malloc(coded_length + 1), *plain = malloc(length);
  memcpy(coded, bytes, coded_length);
  if (codec_decode((enum codec)codec, coded, coded_length, plain, length, stride)) print_hex(plain, length);
  else puts("none");
  free(coded);
  free(plain);
}

static uint16_t number;

static void receive(uint8_t type, uint16_t frame_number, const uint8_t *payload, size_t length) {
  uint8_t out[MAX_STUFFED + 2];
  struct frame frame = {type, 1, frame_number, payload, length};
  size_t n = frame_encode(&frame, out);
  for (size_t i = 0; i < n; i++) engine_receive(out[i], 0);
  while (engine_poll(0)) {
  }
}

static void do_stream(void) {
  static const uint8_t hello[6] = {1, 1, 1, 0, 0, 0};
  engine_init(0);
  receive(FRAME_HELLO, 0, hello, sizeof hello);
  number = 0;
}

static void do_message(const char *arguments) {
  unsigned type;
  int at;
  if (sscanf(arguments, "%u %n", &type, &at) != 1) exit(2);
  size_t length = from_hex(arguments + at);
  receive((uint8_t)type, number++, bytes, length);
  printf("%u\n", status.refusal);
}

int main(void) {
  while (fgets(line, sizeof line, stdin)) {
    if (strncmp(line, "frame ", 6) == 0) do_frame(line + 6);
    else if (strncmp(line, "band ", 5) == 0) do_band(line + 5);
    else if (strncmp(line, "stream", 6) == 0) do_stream();
    else if (strncmp(line, "message ", 8) == 0) do_message(line + 8);
    else return 2;
  }
  return 0;
}
