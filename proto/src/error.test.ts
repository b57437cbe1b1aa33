import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { errorTable } from "./error.ts";

test("every code has a gRPC status of grpc-js's, and an HTTP status of a failure", () => {
  const wanted = {
    unavailable: "UNAVAILABLE",
    "session-exists": "ALREADY_EXISTS",
    canceled: "CANCELLED",
  } as const;
  for (const [code, name] of Object.entries(wanted))
    expect(status[errorTable[code as keyof typeof wanted].grpc]).toBe(name);
  for (const { grpc, http } of Object.values(errorTable)) {
    expect(status[grpc]).toMatch(/^[A-Z_]+$/);
    expect(grpc).not.toBe(status.OK);
    expect(http).toBeGreaterThanOrEqual(400);
  }
});
