import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { render } from "./render.ts";
import {
  formatSettings,
  keptMark,
  parseSettings,
  printerConfigOf,
  withKept,
  withoutSecrets,
} from "./settings.ts";

const toml = `
[printer]
id = "Office 1st floor"
`;
const minimal = `
[printer]
id = "office"
[backend]
address = "print.example:6310"
tls = true
[engine]
port = "usb-0403-6001"
baud = 3000000
rtscts = true
`;
const full = `${minimal}
[network]
hostname = "office-printer"
ntp = ["192.168.1.1"]
[network.wired]
address = "192.168.1.20/24"
gateway = "192.168.1.1"
dns = ["192.168.1.1"]
[network.wifi]
ssid = 'Caf\u00e9 "upstairs"'
passphrase = 'with "quotes" and \\'
country = "DE"
`;

const mistakesOf = (text: string): string => {
  try {
    parseSettings(text);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};

test("the example that lies on every card is right", async () => {
  const example = await readFile(join(import.meta.dirname, "../board/platen.toml.example"), "utf8");
  expect(parseSettings(example).printer.id).toBe("office");
});

test("the printer's configuration follows from the settings", () => {
  expect(printerConfigOf(parseSettings(minimal))).toEqual({
    printerId: "office",
    backend: "print.example:6310",
    tls: true,
    sink: "serial:usb-0403-6001?baud=3000000&rtscts=true",
    stateDir: "/data/platen/state",
  });
});

test("the update channel goes to the printer, which asks for updates", () => {
  const settings = parseSettings(`${minimal}[updates]\nchannel = "beta"\n`);
  expect(printerConfigOf(settings)).toMatchObject({ updateChannel: "beta" });
});

test("a mistake is said with where it is: TOML by its line, a field by its name", () => {
  expect(mistakesOf('[printer]\nid = "a')).toMatch(/line 2: /);
  expect(mistakesOf(minimal.replace("usb-0403-6001", "COM3"))).toMatch(/engine\.port: must be a serial line/);
  expect(mistakesOf(toml)).toMatch(/backend: is missing\nengine: is missing/);
  expect(mistakesOf(`${minimal}[wifi]\nssid = "x"\n`)).toMatch(/wifi/);
  expect(mistakesOf(full.replace("192.168.1.20/24", "192.168.1.20"))).toMatch(
    /network\.wired\.address: .*prefix/,
  );
  expect(mistakesOf(full.replace('"DE"', '"Germany"'))).toMatch(/country: must be two capital letters/);
});

test("what the printer itself would refuse is refused here, by its name in the file", () => {
  expect(mistakesOf(minimal.replace('"office"', '"two words"'))).toMatch(
    /^printer\.id: must be 1 to 64 letters/m,
  );
  expect(mistakesOf(minimal.replace(":6310", ""))).toMatch(/^backend\.address: must be HOST:PORT/m);
  const withPrinter = (line: string) => minimal.replace('"office"', `"office"\n${line}`);
  expect(mistakesOf(withPrinter('media = ["A4"]'))).toMatch(/^printer\.media\.0: "A4" is no name such as/m);
  expect(mistakesOf(withPrinter("resolution = 450"))).toMatch(/^printer\.resolution: must be one of/m);
});

test("all mistakes are said at once, each with where it is", () => {
  const text = `
[printer]
id = "a b"
mono = "no"
[backend]
[engine]
prot = "usb-0403-6001"
pictures = true
`;
  expect(mistakesOf(text).split("\n")).toEqual([
    "platen.toml:",
    expect.stringMatching(/^printer\.id: must be 1 to 64 letters/),
    "printer.mono: must be true or false",
    "backend.address: is missing",
    "engine.prot: there is no such setting",
  ]);
});

test("an engine is either on a port or none", () => {
  expect(mistakesOf(minimal.replace(/port = .*/, ""))).toMatch(/engine: needs either port or pictures/);
  expect(mistakesOf(minimal.replace("rtscts", "pictures = true\nrtscts"))).toMatch(/engine: needs either/);
});

test("settings survive being written and read, as the board does it", () => {
  const settings = parseSettings(full);
  expect(parseSettings(formatSettings(settings))).toEqual(settings);
});

test("secrets are marked, and the marks mean the board's own when the file comes back", () => {
  const settings = parseSettings(full.replace("tls = true", 'tls = true\nenrolment_key = "hush"'));
  const shown = formatSettings(withoutSecrets(settings));
  expect(shown).not.toMatch(/hush|quotes/);
  const edited = parseSettings(shown.replace("office-printer", "hall-printer"));
  const merged = withKept(edited, settings);
  expect(merged.backend.enrolment_key).toBe("hush");
  expect(merged.network?.wifi?.passphrase).toBe('with "quotes" and \\');
  expect(merged.network?.hostname).toBe("hall-printer");
  expect(() => withKept(edited, undefined)).toThrow("write it out");
  expect(shown).toContain(keptMark);
});

test("network, Wi-Fi and the engine's line come as systemd, wpa_supplicant and udev read them", () => {
  const { system, hostname } = render(parseSettings(full));
  expect(hostname).toBe("office-printer");
  expect(system["/run/systemd/network/10-wired.network"]?.text).toBe(
    "[Match]\nName=e*\n\n[Network]\nDHCP=no\nAddress=192.168.1.20/24\nGateway=192.168.1.1\nDNS=192.168.1.1\nNTP=192.168.1.1\n\n" +
      "[DHCPv4]\nClientIdentifier=mac\n",
  );
  const wifi = system["/run/platen/wpa_supplicant.conf"]!;
  expect(wifi.mode).toBe(0o600);
  // Names go in as hexadecimal digits: nothing in them can end the line or the field.
  expect(wifi.text).toContain(`ssid=${Buffer.from('Café "upstairs"').toString("hex")}\n`);
  expect(system["/run/udev/rules.d/71-platen-engine.rules"]?.text).toMatch(
    /GROUP="root", MODE="0600"\n.*ENV\{ID_VENDOR_ID\}=="0403", ENV\{ID_MODEL_ID\}=="6001", GROUP="platen", MODE="0660"\n$/,
  );
});

test("a name for the network is made of the printer's when none is given", () => {
  expect(render(parseSettings(minimal.replace('"office"', '"2nd_Floor_"'))).hostname).toBe("2nd-floor");
});
