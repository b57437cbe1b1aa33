#include "frame.h"

#include "bytes.h"

uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
  /* By half bytes: a table of 64 bytes, a third of the time of bit by bit. */
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
  };
  crc = ~crc;
  while (length--) {
    crc ^= *bytes++;
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

/* Undoes COBS in place; 0 when it is none, which no frame can have as its length. */
static size_t unstuff(uint8_t *bytes, size_t length) {
  size_t read = 0, written = 0;
  while (read < length) {
    size_t code = bytes[read++];
    if (code == 0 || code - 1 > length - read) return 0;
    for (size_t n = code - 1; n > 0; n--) bytes[written++] = bytes[read++];
    if (code < 255 && read < length) bytes[written++] = 0;
  }
  return written;
}

static bool parse(uint8_t *bytes, size_t stuffed, struct frame *frame) {
  size_t length = unstuff(bytes, stuffed);
  if (length < FRAME_HEADER + FRAME_CRC || length > MAX_PLAIN) return false;
  struct reader tail = {bytes + length - FRAME_CRC, FRAME_CRC, true};
  if (read_u32(&tail) != crc32(0, bytes, length - FRAME_CRC)) return false;
  struct reader head = {bytes, FRAME_HEADER, true};
  frame->type = read_u8(&head);
  frame->session = read_u16(&head);
  frame->number = read_u16(&head);
  frame->payload = bytes + FRAME_HEADER;
  frame->length = length - FRAME_HEADER - FRAME_CRC;
  return true;
}

bool frame_push(struct frame_reader *reader, uint8_t byte, struct frame *frame) {
  if (byte != 0) {
    if (reader->length < MAX_STUFFED) reader->bytes[reader->length++] = byte;
    else reader->overlong = true;
    return false;
  }
  bool whole = reader->length > 0 && !reader->overlong && parse(reader->bytes, reader->length, frame);
  reader->length = 0;
  reader->overlong = false;
  return whole;
}

size_t frame_encode(const struct frame *frame, uint8_t *line) {
  uint8_t head[FRAME_HEADER], tail[FRAME_CRC];
  put_u16(put_u16(put_u8(head, frame->type), frame->session), frame->number);
  uint32_t crc = crc32(0, head, FRAME_HEADER);
  put_u32(tail, crc32(crc, frame->payload, frame->length));
  const struct {
    const uint8_t *bytes;
    size_t length;
  } parts[] = {{head, FRAME_HEADER}, {frame->payload, frame->length}, {tail, FRAME_CRC}};

  uint8_t *out = line;
  *out++ = 0;
  uint8_t *code = out++;
  size_t left = FRAME_HEADER + frame->length + FRAME_CRC;
  for (size_t part = 0; part < 3; part++) {
    for (size_t i = 0; i < parts[part].length; i++) {
      uint8_t byte = parts[part].bytes[i];
      left--;
      if (byte != 0) *out++ = byte;
      size_t run = (size_t)(out - code);
      if (byte == 0 || (run == 255 && left > 0)) {
        *code = (uint8_t)run;
        code = out++;
      }
    }
  }
  *code = (uint8_t)(out - code);
  *out++ = 0;
  return (size_t)(out - line);
}
