/* Frames on the line, docs/engine-link.md section 2. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Payload of the longest frame that this engine takes or sends. */
#define MAX_PAYLOAD 512
#define FRAME_HEADER 5
#define FRAME_CRC 4
#define MAX_PLAIN (FRAME_HEADER + MAX_PAYLOAD + FRAME_CRC)
#define MAX_STUFFED (MAX_PLAIN + MAX_PLAIN / 254 + 1)

struct frame {
  uint8_t type;
  uint16_t session;
  uint16_t number;
  const uint8_t *payload;
  size_t length;
};

/* Collects the bytes between zeros. */
struct frame_reader {
  uint8_t bytes[MAX_STUFFED];
  size_t length;
  bool overlong;
};

/* CRC-32 of what `crc` is the CRC-32 of, followed by the bytes. Begin with 0. */
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length);

/* Takes one byte from the line. True when it ends a frame, which stays valid until the next call. */
bool frame_push(struct frame_reader *reader, uint8_t byte, struct frame *frame);

/* Writes the frame as it goes on the line to `line`, MAX_STUFFED + 2 bytes, and returns its length. */
size_t frame_encode(const struct frame *frame, uint8_t *line);

#endif
