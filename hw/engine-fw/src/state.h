/* What link.c and print.c share. */
#ifndef STATE_H
#define STATE_H

#include "bytes.h"
#include "engine.h"
#include "frame.h"

enum {
  FRAME_HELLO = 0x01,
  FRAME_PING = 0x02,
  FRAME_ABORT = 0x03,
  FRAME_JOB = 0x10,
  FRAME_PAGE = 0x11,
  FRAME_BAND = 0x12,
  FRAME_DATA = 0x13,
  FRAME_PAGE_END = 0x14,
  FRAME_JOB_END = 0x15,
  FRAME_WELCOME = 0x81,
  FRAME_ACK = 0x82,
  FRAME_STATUS = 0x83,
};

enum refusal {
  REFUSAL_NONE,
  REFUSAL_MALFORMED,
  REFUSAL_UNEXPECTED,
  REFUSAL_UNSUPPORTED,
  REFUSAL_WRONG_SHEET,
  REFUSAL_BAND_BOUNDS,
  REFUSAL_BAND_DAMAGED,
  REFUSAL_DIGEST_MISMATCH,
  REFUSAL_STOPPED,
};

enum { STATE_IDLE, STATE_PROCESSING, STATE_STOPPED };

/* STATUS, but for what is fixed. print.c owns it; link.c sends it. */
struct status {
  uint8_t state;
  uint32_t reasons;
  uint8_t refusal;
  uint16_t refused_number;
  uint8_t job_key[8];
  uint32_t stacked, stacked_digest;
  uint32_t sheet, rows_printed;
  uint16_t cancel_presses;
  uint8_t levels[COLORANTS];
};
extern struct status status;

/* A message in sequence. */
struct message {
  uint8_t type;
  uint16_t number;
  uint8_t payload[MAX_PAYLOAD];
  size_t length;
};

/* link.c */
/* The next message that waits; false when none does. It is worked off by `link_done`. */
bool link_next(struct message *message);
void link_done(const struct message *message);
/* Messages that wait are void. */
void link_drop(void);
bool link_has_messages(void);
bool link_host_is_silent(void);
/* The status has changed. */
void link_tell(void);

/* print.c */
/* Everything that is not stacked is void. */
void print_reset(void);
/* Does the next thing; false when there is nothing to do now. */
bool print_poll(uint32_t now_ms);
void print_set_reasons(uint32_t reasons);
void print_press_cancel(void);

/* b is a or lies before it, on a clock or count that wraps. */
static inline bool reached32(uint32_t a, uint32_t b) { return (int32_t)(a - b) >= 0; }

#endif
