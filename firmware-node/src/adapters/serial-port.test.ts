/** Ports that udev knows of, told by a stand-in for `udevadm`: what a device calls itself may be anything. */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Title bar escape, right-to-left override, and a line of its own. */
const hostile = String.raw`\x1b]0;owned\x07<b>\xe2\x80\xae\x0d\x0aserial:/dev/fake`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-udev-"));
  const database = [
    "P: /devices/usb1/ttyUSB0",
    "N: ttyUSB0",
    "E: DEVNAME=/dev/ttyUSB0",
    "E: ID_VENDOR_ID=0403",
    "E: ID_MODEL_ID=6001",
    `E: ID_VENDOR_ENC=${hostile}`,
    "E: ID_SERIAL_SHORT=../../CON\u202E\u001B[2J",
    "",
  ];
  await writeFile(join(folder, "database"), database.join("\n"));
  await writeFile(join(folder, "udevadm"), `#!/bin/sh\nexec cat '${join(folder, "database")}'\n`);
  await chmod(join(folder, "udevadm"), 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

async function listPorts(...args: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--list-ports", ...args], { env });
  return stdout;
}

test("--list-ports: a device's strings can do nothing to the terminal, nor look like another port", async () => {
  const out = await listPorts();
  expect(out).toMatch(/^serial:\/dev\/ttyUSB0 {2}serial:usb-0403-6001 {2}\(.*<b>.*\)\n$/);
  expect(out.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test("--list-ports on a machine without udev says so: exit code 2", async () => {
  const env = { ...process.env, PATH: join(folder, "nowhere") };
  const listing = promisify(execFile)(process.execPath, [main, "--list-ports"], { env });
  await expect(listing).rejects.toMatchObject({
    code: 2,
    stderr:
      "platen-printer: serial ports cannot be listed: this machine has no udev; install udev, or name the port by its path\n",
  });
});

test("--list-ports --json: they are harmless for whoever decodes them", async () => {
  const port = JSON.parse(await listPorts("--json")) as Record<string, string>;
  expect(port).toMatchObject({ path: "/dev/ttyUSB0", vendorId: "0403", productId: "6001" });
  expect(port["manufacturer"]! + port["serialNumber"]!).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});
