/* Frames, sessions, sequence, credit, silence: docs/engine-link.md sections 2 to 5, 7 and 8. */
#include <string.h>

#include "hal.h"
#include "state.h"

#define VERSION 1
#define FRAME_COST 8
#define HEARTBEAT_MS 500
#define ACK_MS 10
#define ACK_FRAMES 4
#define SILENT_MS 3000
#define FORGET_MS 60000

static struct {
  struct frame_reader reader;
  uint32_t now_ms;
  uint32_t entropy, boot_id;
  bool greeted; /* The boot id is drawn. */

  bool has_session;
  uint16_t session;
  uint32_t host_boot_id;
  uint16_t counter;

  uint16_t expected;
  /* Frames that came before their turn, by number modulo the window. */
  struct {
    bool full;
    uint8_t type;
    uint16_t length;
    uint8_t payload[MAX_PAYLOAD];
  } early[WINDOW_FRAMES];
  uint32_t taken, credit, credit_told;
  unsigned unacknowledged;
  bool ack_owed;
  uint32_t ack_at_ms;

  /* Messages in sequence: type u8, number u16, length u16, payload; less than FRAME_COST beside the payload. */
  uint8_t ring[CAPACITY];
  size_t ring_start, ring_length;

  bool status_owed;
  uint32_t status_at_ms, heard_at_ms;
  bool host_silent;
} l;

/* ---- the ring of messages ---- */

static void ring_put(uint8_t byte) { l.ring[(l.ring_start + l.ring_length++) % CAPACITY] = byte; }

static uint8_t ring_take(void) {
  uint8_t byte = l.ring[l.ring_start];
  l.ring_start = (l.ring_start + 1) % CAPACITY;
  l.ring_length--;
  return byte;
}

static void deliver(uint8_t type, uint16_t number, const uint8_t *payload, size_t length) {
  ring_put(type);
  ring_put((uint8_t)number);
  ring_put((uint8_t)(number >> 8));
  ring_put((uint8_t)length);
  ring_put((uint8_t)(length >> 8));
  for (size_t i = 0; i < length; i++) ring_put(payload[i]);
}

bool link_has_messages(void) { return l.ring_length > 0; }
bool link_host_is_silent(void) { return l.host_silent; }
void link_drop(void) { l.ring_start = l.ring_length = 0; }
void link_tell(void) { l.status_owed = true; }

bool link_next(struct message *message) {
  if (l.ring_length == 0) return false;
  message->type = ring_take();
  message->number = ring_take();
  message->number = (uint16_t)(message->number | ring_take() << 8);
  message->length = ring_take();
  message->length |= (size_t)ring_take() << 8;
  for (size_t i = 0; i < message->length; i++) message->payload[i] = ring_take();
  return true;
}

/* ---- what the engine says ---- */

static void say(uint8_t type, uint16_t session, const uint8_t *payload, size_t length) {
  uint8_t line[MAX_STUFFED + 2];
  struct frame frame = {type, session, l.counter++, payload, length};
  hal_send(line, frame_encode(&frame, line));
}

static void owe_ack(void) {
  if (l.ack_owed) return;
  l.ack_owed = true;
  l.ack_at_ms = l.now_ms + ACK_MS;
}

static void say_ack(void) {
  uint8_t payload[14], *p = payload;
  uint64_t received = 0;
  for (unsigned i = 1; i < WINDOW_FRAMES; i++) {
    if (l.early[(uint16_t)(l.expected + i) % WINDOW_FRAMES].full) received |= (uint64_t)1 << (i - 1);
  }
  p = put_u16(p, l.expected);
  p = put_u32(p, (uint32_t)received);
  p = put_u32(p, (uint32_t)(received >> 32));
  p = put_u32(p, l.credit);
  l.unacknowledged = 0;
  l.ack_owed = false;
  l.credit_told = l.credit;
  say(FRAME_ACK, l.session, payload, (size_t)(p - payload));
}

static const char *sentence(void) {
  static const struct {
    uint32_t reason;
    const char *sentence;
  } sentences[] = {
      {REASON_COVER_OPEN, "Close the cover."},
      {REASON_MEDIA_JAM, "Take out the jammed sheet."},
      {REASON_MEDIA_EMPTY, "Load paper."},
      {REASON_MEDIA_NEEDED, "Load paper of the size asked for."},
      {REASON_SUPPLY_EMPTY, "Replace the empty ink."},
      {REASON_OUTPUT_FULL, "Take the sheets from the output tray."},
      {REASON_FUSER_HOT, "The fuser cools down."},
      {REASON_FUSER_COLD, "The fuser warms up."},
      {REASON_WASTE_FULL, "Replace the waste container."},
      {REASON_ENGINE_FAULT, "The print head is out of order."},
      {REASON_SUPPLY_LOW, "Ink is low."},
  };
  for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
    if (status.reasons & sentences[i].reason) return sentences[i].sentence;
  }
  return "";
}

static void say_status(void) {
  uint8_t payload[128], *p = payload;
  p = put_u8(p, status.state);
  p = put_u32(p, status.reasons);
  p = put_u8(p, status.refusal);
  p = put_u16(p, status.refused_number);
  memcpy(p, status.job_key, 8);
  p = put_u32(p + 8, status.stacked);
  p = put_u32(p, status.stacked_digest);
  p = put_u32(p, status.sheet);
  p = put_u32(p, status.rows_printed);
  p = put_u16(p, status.cancel_presses);
  p = put_u8(p, COLORANTS);
  for (uint8_t colorant = 0; colorant < COLORANTS; colorant++) p = put_u8(put_u8(p, colorant), status.levels[colorant]);
  p = put_text(p, sentence());
  l.status_owed = false;
  l.status_at_ms = l.now_ms;
  say(FRAME_STATUS, l.session, payload, (size_t)(p - payload));
}

static void say_welcome(uint16_t session, uint32_t host_boot_id, bool common, bool resumed) {
  uint8_t payload[256], *p = payload;
  p = put_u8(p, VERSION);
  p = put_u8(p, VERSION);
  p = put_u8(p, common ? VERSION : 0);
  p = put_u8(p, resumed);
  p = put_u32(p, host_boot_id);
  p = put_u32(p, l.boot_id);
  if (common) {
    p = put_u8(p, 0x0f); /* Cyan, magenta, yellow, black. */
    p = put_u8(p, 0x0f); /* All codecs. */
    p = put_u8(p, 0x01); /* Duplex; pauses in mid-page. */
    p = put_u8(p, WINDOW_FRAMES);
    p = put_u16(p, MAX_PAYLOAD);
    p = put_u32(p, MAX_BAND);
    p = put_u32(p, MAX_WIDTH);
    p = put_u32(p, MAX_HEIGHT);
    p = put_u16(put_u16(put_u8(p, 2), 300), 600);
    p = put_text(p, "Platen reference engine");
    p = put_text(p, "0");
    p = put_text(p, "1.0.0");
  }
  say(FRAME_WELCOME, session, payload, (size_t)(p - payload));
}

/* ---- what the engine hears ---- */

static void reset(void) {
  for (unsigned i = 0; i < WINDOW_FRAMES; i++) l.early[i].full = false;
  l.expected = 0;
  l.taken = 0;
  l.credit = CAPACITY;
  l.unacknowledged = 0;
  l.ack_owed = false;
  l.host_silent = false;
  link_drop();
  print_reset();
}

static void heard(void) {
  l.heard_at_ms = l.now_ms;
  l.host_silent = false;
}

static void take_hello(const struct frame *frame) {
  struct reader r = {frame->payload, frame->length, true};
  uint8_t least = read_u8(&r), most = read_u8(&r);
  uint32_t host_boot_id = read_u32(&r);
  if (!r.ok || least < 1 || least > most) return;
  if (!l.greeted) {
    /* Nobody knows to the byte and the millisecond when the first greeting comes. */
    uint8_t mixed[8];
    put_u32(put_u32(mixed, l.entropy), l.now_ms);
    l.boot_id = crc32(crc32(0, mixed, sizeof mixed), frame->payload, frame->length);
    l.greeted = true;
  }
  if (least > VERSION || most < VERSION) {
    say_welcome(frame->session, host_boot_id, false, false);
    return;
  }
  bool same_host = l.has_session && host_boot_id == l.host_boot_id;
  /* A greeting that was under way for long must not undo the session that came after it. */
  if (same_host && (int16_t)(frame->session - l.session) < 0) return;
  bool resumed = same_host && frame->session == l.session;
  if (!resumed) {
    l.has_session = true;
    l.session = frame->session;
    l.host_boot_id = host_boot_id;
    reset();
  }
  heard();
  say_welcome(frame->session, host_boot_id, true, resumed);
  say_ack();
  say_status();
}

static void take_abort(const struct frame *frame) {
  struct reader r = {frame->payload, frame->length, true};
  uint16_t next = read_u16(&r);
  if (!r.ok || !l.has_session) return;
  bool due = frame->session == l.session;
  /* A repeat, because the answer was lost. */
  bool done = next == l.session && frame->session != next;
  if (!due && !done) return;
  if (due && next != l.session) {
    l.session = next;
    reset();
  }
  heard();
  say_ack();
  say_status();
}

static void take_sequenced(const struct frame *frame) {
  uint16_t place = (uint16_t)(frame->number - l.expected);
  uint32_t taken = l.taken + (uint32_t)frame->length + FRAME_COST;
  unsigned slot = frame->number % WINDOW_FRAMES;
  /* Outside the window, here already, or beyond the credit: as if the line had lost it. */
  if (place >= WINDOW_FRAMES || l.early[slot].full || !reached32(l.credit, taken)) {
    say_ack();
    return;
  }
  l.taken = taken;
  if (place > 0) {
    l.early[slot].full = true;
    l.early[slot].type = frame->type;
    l.early[slot].length = (uint16_t)frame->length;
    memcpy(l.early[slot].payload, frame->payload, frame->length);
    say_ack();
    return;
  }
  deliver(frame->type, l.expected++, frame->payload, frame->length);
  l.unacknowledged++;
  for (; l.early[slot = l.expected % WINDOW_FRAMES].full; l.unacknowledged++) {
    l.early[slot].full = false;
    deliver(l.early[slot].type, l.expected++, l.early[slot].payload, l.early[slot].length);
  }
  owe_ack();
  if (l.unacknowledged >= ACK_FRAMES) say_ack();
}

static void take_frame(const struct frame *frame) {
  if (frame->type == FRAME_HELLO) take_hello(frame);
  else if (frame->type == FRAME_ABORT) take_abort(frame);
  else if (l.has_session && frame->session == l.session) {
    heard();
    if (frame->type >= 0x10 && frame->type <= 0x1f) take_sequenced(frame);
    else if (frame->type == FRAME_PING) {
      say_ack();
      say_status();
    }
  }
}

void link_done(const struct message *message) {
  l.credit += (uint32_t)message->length + FRAME_COST;
  if (l.credit - l.credit_told >= CAPACITY / 4) say_ack();
  else owe_ack();
}

/* ---- the engine ---- */

void engine_init(uint32_t entropy) {
  memset(&l, 0, sizeof l);
  memset(&status, 0, sizeof status);
  memset(status.levels, LEVEL_UNKNOWN, sizeof status.levels);
  l.entropy = entropy;
  reset();
}

void engine_receive(uint8_t byte, uint32_t now_ms) {
  struct frame frame;
  l.now_ms = now_ms;
  if (frame_push(&l.reader, byte, &frame)) take_frame(&frame);
}

void engine_set_reasons(uint32_t reasons, uint32_t now_ms) {
  l.now_ms = now_ms;
  print_set_reasons(reasons);
}

/* Told with the next regular status: dots are many. */
void engine_set_level(unsigned colorant, uint8_t percent) {
  if (colorant < COLORANTS) status.levels[colorant] = percent;
}

void engine_press_cancel(uint32_t now_ms) {
  l.now_ms = now_ms;
  print_press_cancel();
}

bool engine_poll(uint32_t now_ms) {
  l.now_ms = now_ms;
  bool more = print_poll(now_ms);
  if (!l.has_session) return false;
  if (reached32(now_ms, l.heard_at_ms + FORGET_MS)) {
    l.has_session = false;
    reset();
    return false;
  }
  if (reached32(now_ms, l.heard_at_ms + SILENT_MS)) l.host_silent = true;
  if (l.ack_owed && reached32(now_ms, l.ack_at_ms)) say_ack();
  if (l.status_owed || reached32(now_ms, l.status_at_ms + HEARTBEAT_MS)) say_status();
  return more;
}
