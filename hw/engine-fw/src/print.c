/* Jobs, pages, bands, and what becomes of them: docs/engine-link.md sections 6 and 8. */
#include <string.h>

#include "codec.h"
#include "hal.h"
#include "state.h"

struct status status;

/* What a wait ends with. */
enum step { STEP_NONE, STEP_PAGE_END, STEP_STACK };

static struct {
  bool in_job;
  /* The last sheet begun. */
  uint32_t sheet;
  bool in_page, last_of_sheet, back_due;
  uint32_t width, height, stride;
  uint8_t colorants;
  /* The last strip, and the number of its last plane. */
  uint32_t strip_y, strip_end;
  unsigned strip_plane;
  uint32_t digest;

  bool in_band;
  uint8_t colorant, codec;
  uint16_t rows;
  uint32_t y;
  size_t coded_length, coded_missing;

  /* Something mechanical is under way. */
  bool waiting;
  uint32_t until_ms;
  enum step then;
} p;

static uint8_t coded[MAX_BAND];
static uint8_t plain[MAX_BAND];
static struct message message;

static void forget_work(void) {
  memset(&p, 0, sizeof p);
  status.sheet = 0;
  status.rows_printed = 0;
  hal_throw_out();
}

/* Standing still, that is: a supply that is low is no reason. */
static bool in_trouble(void) { return (status.reasons & ~(uint32_t)REASON_SUPPLY_LOW) != 0; }

void print_reset(void) {
  forget_work();
  status.state = in_trouble() ? STATE_STOPPED : STATE_IDLE;
  status.refusal = REFUSAL_NONE;
  status.refused_number = 0;
  link_tell();
}

static void refuse(enum refusal refusal, uint16_t number) {
  forget_work();
  link_drop();
  if (status.refusal == REFUSAL_NONE) {
    status.refusal = (uint8_t)refusal;
    status.refused_number = number;
  }
  link_tell();
}

void print_set_reasons(uint32_t reasons) {
  if (reasons == status.reasons) return;
  bool work = p.in_job || p.waiting || link_has_messages(), stood = in_trouble();
  status.reasons = reasons;
  if (in_trouble()) {
    status.state = STATE_STOPPED;
    if (work) refuse(REFUSAL_STOPPED, 0);
  } else if (stood) status.state = STATE_IDLE;
  link_tell();
}

void print_press_cancel(void) {
  status.cancel_presses++;
  link_tell();
}

static void wait(uint32_t for_ms, enum step then, uint32_t now_ms) {
  p.waiting = true;
  p.until_ms = now_ms + for_ms;
  p.then = then;
}

static void skip_text(struct reader *r) {
  for (uint8_t left = read_u8(r); left > 0; left--) (void)read_u8(r);
}

static enum refusal take_job(struct reader *r) {
  static const uint8_t no_key[8];
  if (p.in_job) return REFUSAL_UNEXPECTED;
  const uint8_t *key = r->at;
  for (int i = 0; i < 8; i++) (void)read_u8(r);
  uint32_t known = read_u32(r);
  skip_text(r);
  if (!r->ok || memcmp(key, no_key, 8) == 0) return REFUSAL_MALFORMED;
  bool same = memcmp(key, status.job_key, 8) == 0;
  if (!same) {
    memcpy(status.job_key, key, 8);
    status.stacked = 0;
    status.stacked_digest = 0;
  }
  if (known > status.stacked) status.stacked = known;
  p.in_job = true;
  p.sheet = status.stacked;
  link_tell();
  return REFUSAL_NONE;
}

static enum refusal take_page(struct reader *r, uint32_t now_ms) {
  if (!p.in_job || p.in_page) return REFUSAL_UNEXPECTED;
  uint32_t sheet = read_u32(r);
  uint8_t flags = read_u8(r);
  uint8_t colorants = read_u8(r);
  uint16_t dpi = read_u16(r);
  uint32_t width = read_u32(r);
  uint32_t height = read_u32(r);
  (void)read_u32(r);
  (void)read_u32(r);
  skip_text(r);
  if (!r->ok) return REFUSAL_MALFORMED;
  bool back = flags & 1, last = flags & 2;
  if (back != p.back_due) return REFUSAL_UNEXPECTED;
  if (sheet != (back ? p.sheet : p.sheet + 1)) return REFUSAL_WRONG_SHEET;
  bool fits = width > 0 && height > 0 && width <= MAX_WIDTH && height <= MAX_HEIGHT;
  /* A back is the last of its sheet: there is no third side. */
  if (!fits || (dpi != 300 && dpi != 600) || (back && !last)) return REFUSAL_UNSUPPORTED;
  p.sheet = sheet;
  p.in_page = true;
  p.last_of_sheet = last;
  p.back_due = false;
  p.width = width;
  p.height = height;
  p.stride = (width + 7) / 8;
  p.colorants = colorants;
  p.strip_y = p.strip_end = 0;
  p.strip_plane = 4;
  if (!back) p.digest = 0;
  status.state = STATE_PROCESSING;
  status.sheet = sheet;
  status.rows_printed = 0;
  link_tell();
  if (!back) wait(hal_feed(), STEP_NONE, now_ms);
  return REFUSAL_NONE;
}

static enum refusal finish_band(uint32_t now_ms) {
  size_t length = (size_t)p.stride * p.rows;
  p.in_band = false;
  if (!codec_decode(p.codec, coded, p.coded_length, plain, length, p.stride)) return REFUSAL_BAND_DAMAGED;
  uint8_t head[7];
  put_u16(put_u32(put_u8(head, p.colorant), p.y), p.rows);
  p.digest = crc32(crc32(p.digest, head, sizeof head), plain, length);
  uint32_t end = p.y + p.rows;
  uint32_t new_rows = end - status.rows_printed;
  status.rows_printed = end;
  wait(hal_print(p.colorant, p.y, plain, p.stride, p.rows, new_rows), STEP_NONE, now_ms);
  return REFUSAL_NONE;
}

static enum refusal take_data(const uint8_t *bytes, size_t length, uint32_t now_ms) {
  if (!p.in_band) return REFUSAL_UNEXPECTED;
  if (length > p.coded_missing) return REFUSAL_BAND_DAMAGED;
  memcpy(coded + p.coded_length - p.coded_missing, bytes, length);
  p.coded_missing -= length;
  return p.coded_missing > 0 ? REFUSAL_NONE : finish_band(now_ms);
}

static enum refusal take_band(struct reader *r, uint32_t now_ms) {
  uint8_t colorant = read_u8(r), codec = read_u8(r);
  uint16_t rows = read_u16(r);
  uint32_t y = read_u32(r), coded_length = read_u32(r);
  if (!r->ok || colorant > 3 || codec >= CODEC_COUNT) return REFUSAL_MALFORMED;
  if (!p.in_page || p.in_band) return REFUSAL_UNEXPECTED;
  if (!(p.colorants >> colorant & 1)) return REFUSAL_UNSUPPORTED;
  /* No sum that could wrap: the page's height bounds both. */
  bool inside = rows > 0 && rows <= p.height && y <= p.height - rows;
  bool same_strip = y == p.strip_y && y + rows == p.strip_end && colorant > p.strip_plane;
  if (!inside || !(same_strip || y >= p.strip_end) || rows > MAX_BAND / p.stride) return REFUSAL_BAND_BOUNDS;
  if (coded_length > p.stride * rows) return REFUSAL_BAND_DAMAGED;
  p.in_band = true;
  p.colorant = colorant;
  p.codec = codec;
  p.rows = rows;
  p.y = y;
  p.strip_y = y;
  p.strip_end = y + rows;
  p.strip_plane = colorant;
  p.coded_length = p.coded_missing = coded_length;
  return take_data(r->at, r->left, now_ms);
}

static enum refusal take_page_end(struct reader *r, uint32_t now_ms) {
  uint32_t digest = read_u32(r);
  if (!r->ok) return REFUSAL_MALFORMED;
  if (!p.in_page || p.in_band) return REFUSAL_UNEXPECTED;
  if (digest != p.digest) return REFUSAL_DIGEST_MISMATCH;
  p.in_page = false;
  p.back_due = !p.last_of_sheet;
  uint32_t skip_ms = hal_skip(p.height - status.rows_printed);
  wait(skip_ms, p.last_of_sheet ? STEP_PAGE_END : STEP_NONE, now_ms);
  return REFUSAL_NONE;
}

static enum refusal take_job_end(void) {
  if (!p.in_job || p.in_page || p.back_due) return REFUSAL_UNEXPECTED;
  p.in_job = false;
  status.state = STATE_IDLE;
  link_tell();
  return REFUSAL_NONE;
}

static enum refusal take(uint32_t now_ms) {
  struct reader r = {message.payload, message.length, true};
  if (in_trouble()) return REFUSAL_STOPPED;
  switch (message.type) {
  case FRAME_JOB:
    return take_job(&r);
  case FRAME_PAGE:
    return take_page(&r, now_ms);
  case FRAME_BAND:
    return take_band(&r, now_ms);
  case FRAME_DATA:
    return take_data(message.payload, message.length, now_ms);
  case FRAME_PAGE_END:
    return take_page_end(&r, now_ms);
  case FRAME_JOB_END:
    return take_job_end();
  default:
    return REFUSAL_MALFORMED;
  }
}

static void stack(void) {
  status.stacked = p.sheet;
  status.stacked_digest = p.digest;
  status.sheet = 0;
  status.rows_printed = 0;
  link_tell();
}

bool print_poll(uint32_t now_ms) {
  if (p.waiting) {
    if (!reached32(now_ms, p.until_ms)) return false;
    p.waiting = false;
    if (p.then == STEP_PAGE_END) wait(hal_eject(), STEP_STACK, now_ms);
    else if (p.then == STEP_STACK) stack();
    return true;
  }
  /* A host that is silent gets no further sheet. Between sheets nothing is taken: the next message may be a page. */
  if (link_host_is_silent() && !p.in_page && !p.back_due) return false;
  if (!link_next(&message)) return false;
  enum refusal refusal = status.refusal == REFUSAL_NONE ? take(now_ms) : REFUSAL_NONE;
  if (refusal != REFUSAL_NONE) refuse(refusal, message.number);
  link_done(&message);
  return true;
}
